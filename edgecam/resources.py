"""Where the files that travel with edgecam are: beside the clone, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder ``models`` or ``systemd``.

    The wheel holds them as ``edgecam/_data/NAME``; in a clone they stand at the top level.
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def bundled_model(name: str) -> Path:
    """Path of a bundled model by its name (``detect-coco``); it may not exist."""
    return folder("models") / f"{name}.tflite"
