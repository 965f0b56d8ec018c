"""Anchors for the data at hand: feature maps, sizes and shapes that fit its boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converters.average_precision import overlaps
from converters.detection.matching import corners
from edgecam.errors import UsageError
from edgecam.heads.anchors import make_anchors
from edgecam.types import Floats

RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)  # width by height, those of SSD
LEAST_SIDE = 32
TOO_LITTLE = 0.2  # overlap with the best anchor below which a box is hardly learnt
_FINEST = 8  # pixels of the input in a cell of the finest map
_USUAL = (5, 95)  # percentiles of the boxes' sizes that the anchors span
_RARE = 0.05  # a ratio nearest to fewer of the boxes is left out
_CELLS = 2  # cells that a small box spans at the least in its map
_MOST = 3  # cells that a large box spans at the most in its map


def choose(
    boxes: Floats,
    size: tuple[int, int],
    *,
    strides: Sequence[int] = (),
    scales: Sequence[float] = (),
    ratios: Sequence[float] = (),
) -> dict[str, Any]:
    """The option ``anchors`` of the decoder for such boxes.

    Args:
        boxes: xyxy relative to the input, (M, 4), M at least 1.
        size: (height, width) of the input.
        strides: pixels in a cell of each map; by the sizes of the boxes if not said.
        scales: size of the anchors of each map as a share of the input; spread evenly (by factors) between
            small and large boxes if not said.
        ratios: width by height; those of SSD that occur if not said.

    Returns:
        What :func:`edgecam.heads.anchors.make_anchors` takes.

    Raises:
        UsageError: the input is too small for two maps, or the numbers do not fit.
    """
    check_size(size)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-4)
    scale, shape = np.sqrt(sides.prod(1)), sides[:, 0] / sides[:, 1]
    small, large = (float(v) for v in np.percentile(scale, _USUAL))
    strides = _checked_strides(strides, size) if strides else _strides(small, large, min(size))
    if scales and len(scales) != len(strides):
        listed = ", ".join(map(str, strides))
        raise UsageError(
            f"{len(scales)} anchor scales for {len(strides)} maps", f"one for each stride: {listed}"
        )
    if not all(0 < value <= 1 for value in scales) or not all(0 < value < 100 for value in ratios):
        raise UsageError("anchor scales or ratios that make no box", "scales up to 1, ratios above 0")
    small = max(small, strides[0] / min(size))  # what is smaller than a cell is not learnt anyway
    spread = scales or np.geomspace(small, max(large, 1.2 * small), len(strides)).clip(0.02, 0.95)
    return {
        "kind": "ssd",
        "strides": [int(stride) for stride in strides],
        "scales": [round(float(value), 4) for value in spread],
        "aspect_ratios": [round(float(value), 4) for value in ratios or _ratios(shape)],
        "reduce_lowest": False,
    }


def check_size(size: tuple[int, int]) -> None:
    """
    Raises:
        UsageError: the input is too small for two maps.
    """
    if min(size) < LEAST_SIDE:
        raise UsageError(
            f"an input of {size[1]}x{size[0]} is too small for the feature maps of a detector",
            f"--input-size {LEAST_SIDE} at the least; 96 and more is usual",
        )


def _strides(small: float, large: float, side: int) -> list[int]:
    """Maps from one that small boxes span two cells of to one that large boxes span three cells of."""
    first = _FINEST
    while first * 2 * _CELLS <= small * side and first * 4 <= side:
        first *= 2
    out = [first, first * 2]
    while out[-1] * _MOST < large * side and out[-1] * 2 <= side:
        out.append(out[-1] * 2)
    return out


def _checked_strides(strides: Sequence[int], size: tuple[int, int]) -> list[int]:
    doubled = [strides[0] << n for n in range(len(strides))]
    powers = all(stride > 0 and stride & (stride - 1) == 0 for stride in strides)
    if len(strides) < 2 or list(strides) != doubled or not powers or not 4 <= strides[0] <= 32:
        listed = ", ".join(map(str, strides))
        raise UsageError(f"strides {listed}", "two or more, each twice the one before: 8, 16, 32")
    if strides[-1] > min(size):
        raise UsageError(
            f"an input of {size[1]}x{size[0]} has no feature map of stride {strides[-1]}",
            f"fewer strides, or --input-size {strides[-1]} at the least",
        )
    return list(strides)


def _ratios(shape: Floats) -> list[float]:
    """The ratios that boxes come nearest to, seldom ones left out, 1 always."""
    nearest = np.abs(np.log(shape)[:, None] - np.log(RATIOS)[None, :]).argmin(1)
    share = np.bincount(nearest, minlength=len(RATIOS)) / len(shape)
    return [ratio for ratio, often in zip(RATIOS, share, strict=True) if ratio == 1 or often >= _RARE]


def per_cell(options: Mapping[str, Any]) -> int:
    """Anchors of each cell."""
    return len(options["aspect_ratios"]) + 1


def best_overlaps(options: Mapping[str, Any], size: tuple[int, int], boxes: Floats) -> Floats:
    """How much each box overlaps its best anchor, float32 (M,)."""
    made = corners(make_anchors(options, size[1], size[0]))
    parts = [overlaps(made, part).max(0) for part in np.array_split(boxes, max(1, len(boxes) // 64))]
    return np.concatenate(parts)
