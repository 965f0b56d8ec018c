"""Where frames come from. One file a source; see :mod:`edgecam.sources.base` for what one must do."""
