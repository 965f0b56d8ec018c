"""Boxes, labels, classes and the status line, drawn into a copy of a frame."""

from edgecam.overlay.colors import class_color
from edgecam.overlay.draw import Overlay, status_texts

__all__ = ["Overlay", "class_color", "status_texts"]
