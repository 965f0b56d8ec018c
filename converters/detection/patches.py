"""Pictures cut, moved, zoomed and mirrored at random, and their boxes with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from converters.training.plan import Plan
from edgecam.types import Array, Floats

GREY = 127  # where a picture ends
_OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)
_SMALLEST = 0.3  # side of a crop
_NARROWEST, _WIDEST = 0.5, 2.0
_TRIES = 20
_LEFT = 0.25  # share of a box that must still be seen


class Cut(NamedTuple):
    """
    Attributes:
        picture: uint8 (H, W, C).
        boxes: xyxy relative to it, float32 (K, 4).
        kept: rows of the boxes before, int (K,).
    """

    picture: Array
    boxes: Floats
    kept: Array


def draw(rng: np.random.Generator, plan: Plan, crop: float, boxes: Floats) -> Floats:
    """A part of a picture, xyxy relative to it; it may reach over the edge.

    Args:
        rng: of the epoch and picture.
        plan: gives ``zoom`` and ``shift``.
        crop: share of the pictures of which a part is taken that some box still overlaps by a drawn amount
            (Liu et al., "SSD", 2016, section 2.2).
        boxes: xyxy relative to the picture, (M, 4).
    """
    if rng.random() < crop and len(boxes):
        for _ in range(_TRIES):
            part = _crop(rng)
            least = _OVERLAPS[rng.integers(len(_OVERLAPS))]
            if _shown(part, boxes).max() >= least:
                return part
    side = 1 + plan.zoom * rng.uniform(-1, 1)
    moved = plan.shift * rng.uniform(-1, 1, 2) if plan.shift else np.zeros(2)
    start = (1 - side) / 2 + moved
    return np.asarray([*start, *(start + side)], np.float32)


def _crop(rng: np.random.Generator) -> Floats:
    while True:
        sides = rng.uniform(_SMALLEST, 1, 2)
        if _NARROWEST <= sides[0] / sides[1] <= _WIDEST:
            start = rng.uniform(0, 1, 2) * (1 - sides)
            return np.asarray([*start, *(start + sides)], np.float32)


def _shown(part: Floats, boxes: Floats) -> Floats:
    """Share of each box that a part shows."""
    corner = np.maximum(boxes[:, :2], part[:2])
    seen = np.clip(np.minimum(boxes[:, 2:], part[2:]) - corner, 0, None).prod(1)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 1e-9, None).prod(1)
    return np.asarray(seen / area, np.float32)


def cut(picture: Array, boxes: Floats, part: Floats) -> Cut:
    """A part of a picture, as large as the picture was.

    Boxes are clipped; those whose centre has left, or of which hardly anything is seen, are dropped.

    Args:
        picture: uint8 (H, W, C).
        boxes: xyxy relative to it.
        part: xyxy relative to it.
    """
    moved = (boxes.reshape(-1, 2, 2) - part[:2]) / (part[2:] - part[:2])
    centre = moved.mean(1)
    inside = ((centre > 0) & (centre < 1)).all(1)
    kept = np.flatnonzero(inside & (_shown(part, boxes) >= _LEFT))
    clipped = np.clip(moved[kept], 0, 1).reshape(-1, 4).astype(np.float32)
    return Cut(_resampled(picture, part), clipped, kept)


def _resampled(picture: Array, part: Floats) -> Array:
    import cv2

    if tuple(part) == (0, 0, 1, 1):
        return picture.copy()
    height, width = picture.shape[:2]
    scale = 1 / (part[2:] - part[:2])
    # Pixel centres lie at halves.
    offset = (-part[:2] * (width, height)) * scale + (scale - 1) / 2
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]], np.float64)
    out = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY)
    )
    return out.reshape(picture.shape).astype(np.uint8)


def mirror(picture: Array, boxes: Floats) -> tuple[Array, Floats]:
    """A picture and its boxes, left and right exchanged."""
    turned = boxes.copy()
    turned[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return np.ascontiguousarray(picture[:, ::-1]), turned
