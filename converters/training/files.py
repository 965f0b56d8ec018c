"""``.keras`` files, with a note inside of what the model is. Needs TensorFlow."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError, ModelError

NOTE = "edgecam.json"


def save_model(model: Any, path: Path, note: Mapping[str, Any] | None = None) -> None:
    """Save a model, whole or not at all, without its optimizer.

    Args:
        model: any Keras model.
        path: ``.keras``.
        note: what is known about it: ``names`` of the classes, ``network``, ...; Keras passes over it.

    Raises:
        EdgecamError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".keras", delete=False) as file:
            temporary = Path(file.name)
        try:
            model.save(temporary, include_optimizer=False)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(NOTE, json.dumps(dict(note or {}), ensure_ascii=False))
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise EdgecamError(f"cannot write {path} ({why})", "free space or choose a folder") from error


def load_model(path: Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read a model.

    Raises:
        ModelError: no such file, or no Keras model.
    """
    import keras

    if not path.is_file():
        raise ModelError(f"{path} does not exist", "name a .keras or .h5 file")
    try:
        return keras.saving.load_model(path, compile=False, custom_objects=dict(custom_objects or {}))
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[0][:200] if lines else type(error).__name__
        raise ModelError(f"{path} cannot be read ({why})", "save it again as .keras") from error


def note(path: Path) -> dict[str, Any]:
    """What :func:`save_model` has noted; {} for a file that is not from there."""
    try:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, Any] = json.loads(archive.read(NOTE))
            return found
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}


def remove(folder: Path) -> None:
    """A folder of checkpoints that nobody needs any more."""
    shutil.rmtree(folder, ignore_errors=True)
