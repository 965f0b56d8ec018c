"""What a training needs to go on after it was killed: one ``.npz``, whole or not at all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters.files import write_whole
from edgecam.errors import EdgecamError
from edgecam.types import Array

FILE = "state.npz"
BEST = "best.npz"
_NOTE = "note"


def write(path: Path, arrays: Sequence[Array], note: Mapping[str, Any]) -> None:
    """
    Raises:
        EdgecamError: it cannot be written (the disk is full); what was there before is untouched.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(note).encode(), np.uint8)
    named: dict[str, Any] = {f"a{number:05}": array for number, array in enumerate(arrays)}
    named[_NOTE] = text
    np.savez(buffer, **named)
    write_whole(path, buffer.getvalue())


def read(path: Path) -> tuple[list[Array], dict[str, Any]] | None:
    """What was written, None where there is none.

    Raises:
        EdgecamError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            note = json.loads(file[_NOTE].tobytes())
            return [file[name] for name in sorted(file.files) if name != _NOTE], note
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise EdgecamError(f"{path} cannot be read ({error})", "delete it: training begins anew") from error


def values(variables: Sequence[Any]) -> list[Array]:
    """Of Keras variables; copies."""
    return [np.array(variable.numpy()) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[Array]) -> None:
    """Give variables their values."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
