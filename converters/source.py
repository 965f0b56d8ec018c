"""A loaded model, whatever it was before: one function from a picture to the outputs. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecam.errors import ModelError, UsageError


@dataclass(frozen=True)
class Source:
    """A loaded model.

    Attributes:
        call: TensorFlow function of one float32 tensor; gives a tensor or a list of tensors.
        shape: (height, width, channels) of the input, 0 for a free side.
        outputs: shapes of the outputs for one picture.
        activation: what the only output ends in: ``softmax``, ``sigmoid``, ``linear``; "" if not known.
        scaling: the model's own layer that normalises pixels, or "".
        names: of the model and of the models in it.
        parameters: number of weights.
        kind: the format.
        keep: what must live as long as ``call``.
        output_names: in the order of ``outputs``.
        roles: of a detector's outputs; ``call`` then gives role -> tensor, see :mod:`converters.detecting`.
        says: options of its decoder that a graph's own constants say.
        learnt: the same with the ranges of quantisation-aware training marked, None without such a training.
        before: what it was before that, where that is at hand: the float network to be compared with.
    """

    call: Callable[[Any], Any]
    shape: tuple[int, int, int]
    outputs: tuple[tuple[int, ...], ...]
    activation: str
    scaling: str
    names: tuple[str, ...]
    parameters: int
    kind: str
    keep: Any = field(repr=False, default=None)
    output_names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    says: Mapping[str, Any] = field(default_factory=dict)
    learnt: Source | None = field(repr=False, default=None)
    before: Source | None = field(repr=False, default=None)


def fixed(path: Path, sides: tuple[int | None, ...], size: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of the input.

    Args:
        path: for messages.
        sides: as the model says, without the batch; None for free.
        size: (height, width) that the user wants, or empty.

    Raises:
        ModelError: no picture, or a free size that nobody fixes.
        UsageError: ``size`` contradicts the model.
    """
    if len(sides) != 3 or sides[2] not in (1, 3):
        shown = " x ".join("?" if side is None else str(side) for side in sides)
        raise ModelError(f"{path} takes {shown}, not height x width x 1 or 3", "convert a model of pictures")
    height, width, channels = sides
    if size:
        for have, want in ((height, size[0]), (width, size[1])):
            if have is not None and have != want:
                raise UsageError(
                    f"{path} takes pictures of {width}x{height}, not {size[1]}x{size[0]}",
                    "leave --input-size out",
                )
        height, width = size
    if not height or not width:
        raise ModelError(
            f"{path} takes pictures of any size, a .tflite has one", "add --input-size 224 (or WIDTHxHEIGHT)"
        )
    return height, width, int(channels or 3)


def output_shapes(
    path: Path, call: Callable[[Any], Any], shape: tuple[int, int, int]
) -> tuple[tuple[int, ...], ...]:
    """Shapes of the outputs for one picture, 0 for a free side.

    Raises:
        ModelError: the model does not take such a picture.
    """
    import tensorflow as tf

    spec = tf.TensorSpec([1, *shape], tf.float32)
    try:
        outputs = tf.nest.flatten(tf.function(call).get_concrete_function(spec).structured_outputs)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[-1][:160] if lines else type(error).__name__
        raise ModelError(
            f"{path} does not work on pictures of {shape[1]}x{shape[0]} ({why})",
            "give another --input-size, or convert a model with one image input",
        ) from error
    return tuple(tuple(side or 0 for side in output.shape) for output in outputs)


def refuse_nan(path: Path, source: Source) -> None:
    """
    Raises:
        ModelError: a weight holds NaN or infinity.
    """
    keep = source.keep
    weights = keep.weights if hasattr(keep, "weights") else keep[1] if isinstance(keep, tuple) else ()
    broken = [w for w in weights if not np.isfinite(np.asarray(w.numpy(), np.float32)).all()]
    if broken:
        name = getattr(broken[0], "path", broken[0].name)
        raise ModelError(
            f"{path}: {len(broken)} of {len(weights)} weights hold NaN or infinity, the first is {name}",
            "go back to a checkpoint from before the training diverged",
        )
