"""Boxes, points, plates and shades: what :class:`~edgecam.overlay.Overlay` is drawn with."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgecam.overlay.colors import Color, ink_on
from edgecam.overlay.masks import Text
from edgecam.types import Image

Rect = tuple[int, int, int, int]  # x1, y1, x2, y2; the right and lower edges are outside

_OUTLINE: Color = (16, 16, 16)
_SHADE = 0.34  # what is left of the picture's light under white text


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in pixels for one picture size."""

    width: int
    height: int
    text: int
    line: int
    pad_x: int
    pad_y: int

    @classmethod
    def of(cls, width: int, height: int) -> Scale:
        side = min(width, height)
        text = max(12, round(side / 40))
        return cls(
            width,
            height,
            text,
            line=max(1, round(side / 270)),
            pad_x=max(2, round(text * 0.32)),
            pad_y=max(1, round(text * 0.12)),
        )


def corners(box: Iterable[float], scale: Scale) -> Rect:
    """A box in whole pixels, cut to the picture, at least one pixel wide and high."""
    x1, y1, x2, y2 = (float(v) for v in box)
    left = min(max(round(min(x1, x2)), 0), scale.width - 1)
    top = min(max(round(min(y1, y2)), 0), scale.height - 1)
    right = min(max(round(max(x1, x2)), left + 1), scale.width)
    bottom = min(max(round(max(y1, y2)), top + 1), scale.height)
    return left, top, right, bottom


def box(image: Image, corners: Rect, line: int, color: Color) -> None:
    """A coloured line just inside the box, with a thin dark one on either side of it."""
    edge = max(1, line // 2)
    _frame(image, corners, line + edge, _OUTLINE, grow=edge)
    _frame(image, corners, line, color)


def _frame(image: Image, corners: Rect, line: int, color: Color, grow: int = 0) -> None:
    x1, y1, x2, y2 = corners[0] - grow, corners[1] - grow, corners[2] + grow, corners[3] + grow
    line += grow
    for a, b, c, d in (
        (x1, y1, x2, y1 + line),
        (x1, y2 - line, x2, y2),
        (x1, y1, x1 + line, y2),
        (x2 - line, y1, x2, y2),
    ):
        cv2.rectangle(image, (a, b), (c - 1, d - 1), color, cv2.FILLED)


def points(image: Image, points: Iterable[Iterable[float]], line: int, color: Color) -> None:
    height, width = image.shape[:2]
    for x, y in points:
        if not (-width < x < 2 * width and -height < y < 2 * height):  # also False for NaN
            continue
        center = (round(float(x)), round(float(y)))
        cv2.circle(image, center, 2 * line + max(1, line // 2), _OUTLINE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, center, 2 * line, color, cv2.FILLED, cv2.LINE_AA)


def place(box: Rect, width: int, height: int, scale: Scale, taken: list[Rect]) -> Rect:
    """Where a label goes: above its box, else inside, else below; free of other labels if that is simple."""
    x1, y1, x2, y2 = box
    left = min(max(0, x1), max(0, scale.width - width))
    right = max(0, min(x2, scale.width) - width)
    spots = [
        (left, y1 - height),
        (left, y1),
        (right, y1 - height),
        (left, y2),
        (right, y1),
        (left, y2 - height),
    ]
    rects = [(x, y, x + width, y + height) for x, y in spots if y >= 0 and y + height <= scale.height]
    for rect in rects:
        if not any(_overlap(rect, other) for other in taken):
            return rect
    if rects:
        return rects[0]
    return left, 0, left + width, min(height, scale.height)


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def extent(texts: list[Text], scale: Scale) -> tuple[int, int]:
    """(width, height) of a plate that holds texts side by side on one baseline."""
    width = sum(text.width + scale.pad_x for text in texts) + scale.pad_x
    height = max(text.above for text in texts) + max(text.below for text in texts) + 2 * scale.pad_y
    return width, height


def plate(image: Image, place: Rect, texts: list[Text], scale: Scale, color: Color) -> None:
    """Texts on a ground of ``color``."""
    x1, y1, x2, y2 = place
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), color, cv2.FILLED)
    table = _blend_table(ink_on(color), color)
    x, baseline = x1 + scale.pad_x, y1 + scale.pad_y + max(text.above for text in texts)
    for text in texts:
        top = baseline - text.above
        part = image[top : top + text.mask.shape[0], x : x + text.width]
        part[:] = cv2.LUT(text.mask, table)[: part.shape[0], : part.shape[1]]
        x += text.width + scale.pad_x


def status_lines(image: Image, scale: Scale, lines: list[list[Text]]) -> None:
    """Along the lower edge, over whatever is there."""
    bottom = scale.height
    for texts in reversed(lines):
        top = max(0, bottom - extent(texts, scale)[1])
        shade(image, (0, top, scale.width, bottom))
        x, baseline = scale.pad_x, top + scale.pad_y + max(text.above for text in texts)
        for text in texts:
            lighten(image, text, x, baseline)
            x += text.width + 2 * scale.pad_x
        bottom = top


def shade(image: Image, area: Rect) -> None:
    x1, y1, x2, y2 = area
    part = image[y1:y2, x1:x2]
    if part.size:
        part[:] = cv2.convertScaleAbs(part, alpha=_SHADE)


def lighten(image: Image, text: Text, x: int, baseline: int) -> None:
    """White text over a shaded part."""
    top = baseline - text.above
    part = image[top : top + text.mask.shape[0], x : x + text.width]
    np.maximum(part, text.mask[: part.shape[0], : part.shape[1]], out=part)


@functools.lru_cache(maxsize=512)
def _blend_table(ink: Color, ground: Color) -> Image:
    """uint8 (1, 256, 3): what a mask's value becomes, from ``ground`` at 0 to ``ink`` at 255."""
    weight = np.linspace(0, 1, 256)[:, None]
    return np.rint(np.asarray(ground) * (1 - weight) + np.asarray(ink) * weight).astype(np.uint8)[None]
