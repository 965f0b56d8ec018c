"""Lets the model rest while nothing moves: its last word stands for as long as the picture is what it was.

A picture is made small and grey and compared with the one at which something last moved. While they differ,
and for a second longer, the model looks at every frame. Then it rests, and each frame gets the result that
most of the looks of that second agreed on: one look alone may have missed somebody who stands still, and
would say so until something moves. Every few seconds the model looks all the same; if it says something else
then, it is awake again for a second.

So who stands still stays found, and trackers and rules see them in every frame.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from edgecam.types import Array, Detections, Frame, Image, Result

#: Size of the small picture's longer side. Each of its pixels is the mean of 8x8 of a 1280x720 picture, which
#: takes the noise of a camera out.
SIDE = 160
#: Grey levels by which a small pixel must differ to have changed.
STEP = 12
#: Seconds without motion after which the model rests.
LINGER = 1.0
_LEAST, _MOST = 3, 31  # looks at one picture that are held against each other

Signature: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Motion:
    """When the model may rest.

    Attributes:
        part: of the picture that must change to count as motion.
        every: seconds after which the model looks again though nothing has moved.
    """

    part: float = 0.002
    every: float = 5.0


class MotionGate:
    """For one run, frames in their order. Used from the main loop's thread alone.

    Args:
        motion: when the model may rest.

    Call :meth:`rests` for each frame; where it gives nothing, let the model look and tell :meth:`look`.
    """

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self.forget()

    def forget(self) -> None:
        """Begin anew: another model is in use."""
        self._reference: Image | None = None
        self._now = -math.inf
        self._looked_at = self._moved_at = -math.inf
        self._looks: deque[tuple[Signature, Result]] = deque(maxlen=_MOST)
        self._kept: tuple[Signature, Result] | None = None

    def rests(self, frame: Frame, pixels: Image) -> Result | None:
        """The result that still holds; None if the model must look.

        Args:
            pixels: the frame's, RGB uint8 (H, W, 3), whole view, of any size.
        """
        small, now = shrink(pixels), frame.moment
        if now < self._now or self._differs(small):  # a film that begins again moves too
            self._reference, self._moved_at, self._kept = small, now, None
            self._looks.clear()
        self._now = now
        if now - self._moved_at < LINGER or len(self._looks) < _LEAST:
            return None
        if self._kept is None:
            self._kept = self._usual()
        if now - self._looked_at >= self._motion.every:
            self._reference = small  # light changes slowly
            return None
        return self._kept[1]

    def look(self, found: Result, threshold: float) -> None:
        """What the model says of the frame in hand.

        Args:
            threshold: least score that counts when two looks are compared.
        """
        signature = sign(found, threshold)
        self._looked_at = self._now
        if self._kept is not None and signature != self._kept[0]:
            # Nothing has moved, and yet: look more often before the one or the other is believed.
            self._moved_at, self._kept = self._now, None
            self._looks.clear()
        elif self._kept is not None:
            self._kept = signature, found
        self._looks.append((signature, found))

    def _differs(self, small: Image) -> bool:
        if self._reference is None or self._reference.shape != small.shape:
            return True
        changed = cv2.absdiff(self._reference, small) > STEP
        return int(np.count_nonzero(changed)) > self._motion.part * changed.size

    def _usual(self) -> tuple[Signature, Result]:
        """The newest of the looks that say what most of them say."""
        counts = Counter(signature for signature, _ in self._looks)
        most = max(counts.values())
        return next(look for look in reversed(self._looks) if counts[look[0]] == most)


def shrink(pixels: Image) -> Image:
    """Grey and small, uint8 (h, w) with :data:`SIDE` as the longer side; each pixel is a mean."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    out: Array = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return out


def sign(found: Result, threshold: float) -> Signature:
    """What a result says, without its scores and places: how many of which classes, or the best label."""
    sure = found.class_id[found.score >= np.float32(threshold)]
    return tuple(sorted(sure.tolist())) if isinstance(found, Detections) else tuple(sure[:1].tolist())
