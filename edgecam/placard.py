"""The picture shown when there is none: the camera is starting, or was lost."""

from __future__ import annotations

import numpy as np

from edgecam.text import render
from edgecam.types import Image

_TOP, _BOTTOM = (30, 36, 48), (16, 19, 26)  # a dark blue, falling off to the lower edge
_ACCENT = (255, 176, 32)
_TITLE = (245, 247, 250)
_MESSAGE = (170, 180, 194)


def placard(size: tuple[int, int], title: str, message: str = "") -> Image:
    """A dark, readable notice.

    Args:
        size: (width, height) in pixels, that of the frames before, so that a stream or recording goes on.
        title: a few words (``Camera lost at 14:03:21``), any script; the letters shrink to fit.
        message: what is being done about it; wrapped, and cut if it is far too long.

    Returns:
        RGB uint8 (H, W, 3).
    """
    width, height = size
    slope = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    column = np.asarray(_TOP, np.float32) * (1 - slope) + np.asarray(_BOTTOM, np.float32) * slope
    image: Image = np.repeat(np.rint(column).astype(np.uint8)[:, None], width, axis=1)
    if min(size) < 8:
        return image
    room = max(1, int(width * 0.88))
    big = _fitting(title, max(14, round(min(size) / 13)), room)
    small = max(12, round(min(size) / 26))
    lines = [(render.line(title, big, room).ink, _TITLE)] if title else []
    lines += [(render.line(text, small, room).ink, _MESSAGE) for text in _wrap(message, small, room)]
    gap = max(2, small // 3)
    mark = max(2, round(min(size) / 120))  # the accent line above the title
    total = mark + 3 * gap + sum(mask.shape[0] + gap for mask, _ in lines)
    y = max(0, (height - total) // 2)
    span = min(room, big * 3)
    image[y : y + mark, (width - span) // 2 : (width + span) // 2] = _ACCENT
    y += mark + 3 * gap
    for mask, color in lines:
        _blend(image, mask, max(0, (width - mask.shape[1]) // 2), y, color)
        y += mask.shape[0] + gap * (3 if color == _TITLE else 1)
    return image


def _fitting(text: str, size: int, room: int) -> int:
    """The largest text size up to ``size`` (not under 12) at which the line fits."""
    needed = render.width(text, size)
    return size if needed <= room else max(12, int(size * room / needed))


def _wrap(text: str, size: int, room: int, most: int = 4) -> list[str]:
    """Break a text at blanks (scripts without blanks: anywhere) into at most ``most`` lines."""
    lines: list[str] = []
    for word in render.clean(text).split():
        if lines and render.width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
            continue
        while render.width(word, size) > room and len(word) > 1:
            keep = len(word) - 1
            while keep > 1 and render.width(word[:keep], size) > room:
                keep -= 1
            lines.append(word[:keep])
            word = word[keep:]
        lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]  # drawn with an ellipsis
    return lines


def _blend(image: Image, mask: Image, x: int, y: int, color: tuple[int, int, int]) -> None:
    part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    weight = mask[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
    part[:] = np.rint(part * (1 - weight) + np.asarray(color, np.float32) * weight).astype(np.uint8)
