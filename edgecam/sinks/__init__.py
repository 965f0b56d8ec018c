"""Where results go. One file a sink; see :mod:`edgecam.sinks.base` for what one must do."""
