"""A trained network read back: its ranges are in the file's note. Needs TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.source import Source
from edgecam.errors import ModelError

RANGES = "ranges"  # in the note of the file


def with_ranges(path: Path, model: Any, source: Source) -> Source:
    """The source with ``learnt`` filled in, if the file is from the step ``qat``; else as it is.

    Raises:
        ModelError: the ranges are not those of this network.
    """
    from converters.training import files

    found = files.note(path).get(RANGES)
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
    return replace(
        source, learnt=replace(source, call=lambda image: marked(image, training=False), keep=marked)
    )
