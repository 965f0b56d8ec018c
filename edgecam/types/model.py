"""What an interpreter says of its tensors, and what is asked of a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model, as the interpreter reports it.

    Attributes:
        name: the tensor's name.
        shape: its shape, batch included.
        dtype: numpy dtype.
        scale: quantisation scale, 0.0 where the tensor is not quantised.
        zero_point: quantisation zero point.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    def with_shape(self, shape: Sequence[int]) -> TensorInfo:
        return replace(self, shape=tuple(int(n) for n in shape))


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What the user may ask of any head; None means the model's own value.

    Attributes:
        weak: part of the threshold from which on results are reported: a tracker makes use of weaker ones
            than are shown.
    """

    threshold: float | None = None
    top_k: int | None = None
    iou: float | None = None
    classes: tuple[str, ...] = field(default=())
    weak: float = 1.0
