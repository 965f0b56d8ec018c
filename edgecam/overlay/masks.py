"""Rendered text, kept for the frames to come."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from edgecam.text import render
from edgecam.types import Image

_LIMIT_BYTES = 16 << 20


class Text(NamedTuple):
    """A rendered line.

    Attributes:
        mask: uint8 (H, W, 3), the ink, the same in all channels, which is what OpenCV's table look-up takes.
        above: rows above the baseline.
    """

    mask: Image
    above: int

    @property
    def below(self) -> int:
        return int(self.mask.shape[0]) - self.above

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])


class Masks:
    """The texts drawn last, the least recently used thrown away. Thread-safe."""

    def __init__(self, limit: int = _LIMIT_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._masks: OrderedDict[tuple[str, int, int], Text] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, size: int, room: int) -> Text:
        """``text`` rendered at ``size`` pixels per em, at most ``room`` pixels wide (and at least one)."""
        key = (text, size, room)
        with self._lock:
            found = self._masks.get(key)
            if found is not None:
                self._masks.move_to_end(key)
                return found
        line = render.line(text, size, room)
        flat = line.ink[:, : max(1, room)]  # ink may hang over by a pixel
        made = Text(np.repeat(flat[..., None], 3, axis=2), line.above)
        with self._lock:
            if key not in self._masks:
                self._masks[key] = made
                self._bytes += made.mask.nbytes
            while self._bytes > self._limit and len(self._masks) > 1:
                self._bytes -= self._masks.popitem(last=False)[1].mask.nbytes
        return made
