"""What the heads' tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.types import Array, Floats, Geometry, TensorInfo

INPUT = TensorInfo("image", (1, 240, 320, 3), np.dtype(np.uint8), 1.0, 0)

# The frame is the input: results are in input pixels.
SAME = Geometry((320, 240), (320, 240), (1.0, 1.0), (0.0, 0.0))


def spec(decoder: str, **fields: Any) -> ModelSpec:
    return ModelSpec(
        name="model", task="classify" if decoder == "classify" else "detect", decoder=decoder, **fields
    )


def output(
    name: str, shape: tuple[int, ...], dtype: str = "float32", scale: float = 0.0, zero_point: int = 0
) -> TensorInfo:
    return TensorInfo(name, shape, np.dtype(dtype), scale, zero_point)


def iou(a: Floats, b: Floats) -> float:
    """Of two boxes, by the definition."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(float(width), 0.0) * max(float(height), 0.0)
    union = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - inter
    return inter / union if union > 0 else 0.0


def real_of(array: Array, info: TensorInfo) -> Floats:
    """The definition of quantisation: scale * (q - zero point)."""
    if info.dtype.kind == "f":
        return array.astype(np.float32)
    values = (array.astype(np.float64) - info.zero_point) * float(np.float32(info.scale))
    return values.astype(np.float32)
