"""Covering parts of a picture so that what was there cannot be had back.

A light blur is no privacy: it is a weighted mean of neighbours and can be undone to a good part, and networks
recognise blurred and finely pixelated faces (McPherson, Shokri, Shmatikov: "Defeating Image Obfuscation with
Deep Learning", 2016). So there is one colour, or squares of which a region gets a handful.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgecam.privacy.mask import Mask, Style
from edgecam.types import Array, Floats, Image, Ints

COLOR = (38, 42, 50)  # dark, neither a skin's nor an overlay's
SQUARES = 4  # along the longer side of a covered box, at most
_SAMPLES = 8  # pixels along a square that its mean is taken of, at least
MASK_SQUARES = 12  # along the picture's shorter side, at most


def widen(boxes: Array, margin: float) -> Floats:
    """Boxes (N, 4) with ``margin`` times their width and height added on each side; not clipped."""
    sizes = (boxes[:, 2:] - boxes[:, :2]) * np.float32(margin)
    return np.concatenate([boxes[:, :2] - sizes, boxes[:, 2:] + sizes], axis=1).astype(np.float32)


def cover(image: Image, boxes: Array, style: Style) -> None:
    """Cover boxes float32 (N, 4), xyxy in pixels, of an image that may be written into. Rounded outwards."""
    height, width = image.shape[:2]
    if not np.isfinite(boxes).all():  # nobody knows where: nothing may be seen
        image[:] = COLOR
        return
    for x1, y1, x2, y2 in _outwards(boxes, width, height):
        if x2 <= x1 or y2 <= y1:
            continue
        part = image[y1:y2, x1:x2]
        if style == "solid":
            cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), COLOR, cv2.FILLED)
        else:
            part[:] = _squares(part, SQUARES / max(part.shape[:2]))


def cover_masks(image: Image, masks: tuple[Mask, ...]) -> None:
    """Cover polygons of an image that may be written into. Pixels on an edge are covered too."""
    height, width = image.shape[:2]
    for mask in masks:
        corners = polygon(mask, width, height)
        if mask.fill == "solid":
            _fill(image, corners, COLOR)
            continue
        x1, y1 = np.maximum(corners.min(axis=0) - 1, 0)
        x2, y2 = np.minimum(corners.max(axis=0) + 2, (width, height))
        part = image[y1:y2, x1:x2]
        inside = np.zeros(part.shape[:2], np.uint8)
        _fill(inside, (corners - (x1, y1)).astype(np.int32), (255,))
        squares = _squares(part, MASK_SQUARES / min(width, height))
        cv2.copyTo(squares, inside, part)


def polygon(mask: Mask, width: int, height: int) -> Ints:
    """A mask's corners in whole pixels, int32 (N, 2)."""
    corners = np.asarray(mask.points) * (width, height)
    return np.minimum(np.floor(corners), (width - 1, height - 1)).astype(np.int32)


def _fill(image: Image, corners: Ints, color: tuple[int, ...]) -> None:
    """The polygon and a line around it, for its corners were rounded."""
    cv2.fillPoly(image, [corners], color)
    cv2.polylines(image, [corners], True, color, thickness=3)


def _outwards(boxes: Array, width: int, height: int) -> list[tuple[int, int, int, int]]:
    low = np.floor(boxes[:, :2])
    high = np.ceil(boxes[:, 2:])
    edges = np.concatenate([low, high], axis=1)
    inside = np.clip(edges, 0, [width, height, width, height]).astype(int)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in inside]


def _squares(part: Image, each: float) -> Image:
    """The mean colour of coarse squares; ``each`` is the part of a square that a pixel spans."""
    height, width = part.shape[:2]
    few = max(1, int(width * each)), max(1, int(height * each))
    skip = max(1, min(width // few[0], height // few[1]) // _SAMPLES)
    some = np.ascontiguousarray(part[::skip, ::skip])
    small = cv2.resize(some, few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
