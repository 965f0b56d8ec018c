"""``edgecam-convert``. TensorFlow is loaded in a child process, where it is used."""

from __future__ import annotations

from converters.cli.app import main

__all__ = ["main"]
