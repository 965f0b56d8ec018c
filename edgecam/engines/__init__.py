"""What runs a model. See :mod:`edgecam.engines.base` for what an engine must do."""
