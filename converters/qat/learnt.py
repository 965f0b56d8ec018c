"""A trained network read back: its ranges are in the file's note. Needs TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.source import Source
from edgecam.errors import ModelError

# In the note of the file: the ranges; and file and sha256 of the network before the training.
RANGES, BEFORE = "ranges", "before"


def with_ranges(path: Path, model: Any, source: Source) -> Source:
    """The source, with ``learnt`` and ``before`` filled in if the file is from the step ``qat``.

    Raises:
        ModelError: the ranges are not those of this network.
    """
    from converters.training import files

    note = files.note(path)
    found = note.get(RANGES)
    if not found:
        return source
    from converters.qat import simulate

    try:
        limits = {name: (float(low), float(high)) for name, (low, high) in found.items()}
        marked = simulate.for_converter(model, limits)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: its ranges cannot be read ({error})", "run the step qat again") from error
    names = {layer.name.removeprefix(simulate.PREFIX) for layer in marked.layers}
    missing = sorted(set(found) - names)
    if missing:
        raise ModelError(
            f"{path}: it has a range for {missing[0]!r}, which is no layer of it", "run the step qat again"
        )
    return replace(source, learnt=_of(source, marked), before=_before(path, note, source))


def _of(source: Source, model: Any) -> Source:
    return replace(source, call=lambda image: model(image, training=False), keep=model)


def mark(path: Path) -> dict[str, str]:
    """What the note says of the network before the training."""
    return {"file": str(path.absolute()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _before(path: Path, note: Mapping[str, Any], source: Source) -> Source | None:
    """The network before the training, None where it is gone or another by now."""
    from converters.training import files

    said = note.get(BEFORE) or {}
    for file in (Path(said.get("file", "")), path.parent / Path(said.get("file", "")).name):
        if file.is_file() and mark(file)["sha256"] == said.get("sha256"):
            return _of(source, files.load_model(file))
    return None
