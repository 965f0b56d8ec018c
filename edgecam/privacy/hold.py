"""Boxes that outlive a detection: a face is not uncovered because the detector blinked."""

from __future__ import annotations

import numpy as np

from edgecam.types import Floats

GROWTH = 0.25  # of a box's size added on each side for each second that it was not seen: its object may move
_SAME = 0.1  # overlap (intersection over union) from which a new box takes the place of a held one


class Held:
    """Boxes seen of late.

    Args:
        seconds: how long a box is kept after it was last seen.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._boxes: Floats = np.zeros((0, 4), np.float32)
        self._seen: Floats = np.zeros(0, np.float32)  # seconds ago, at the newest moment
        self._newest = 0.0

    def update(self, moment: float, boxes: Floats) -> Floats:
        """What to cover at ``moment``: ``boxes`` (N, 4), and those of before that none of them stands for.

        Each new box takes the place of one held box at most. A moment before the newest changes nothing; one
        that lies far before it (a film that began again) starts afresh.
        """
        passed = moment - self._newest
        if passed < -self._seconds:
            self._boxes, self._seen, passed = self._boxes[:0], self._seen[:0], 0.0
        ages = self._seen + np.float32(passed)
        kept = np.abs(ages) <= self._seconds
        held, ages = self._boxes[kept], ages[kept]
        alone = np.ones(len(held), bool)
        alone[_partners(boxes, held)] = False
        held, ages = held[alone], ages[alone]
        if passed >= 0:
            self._newest = moment
            self._boxes = np.concatenate([boxes, held])
            self._seen = np.concatenate([np.zeros(len(boxes), np.float32), ages])
        return np.concatenate([boxes, _grown(held, ages)])


def _grown(boxes: Floats, ages: Floats) -> Floats:
    by = (boxes[:, 2:] - boxes[:, :2]) * (np.abs(ages) * np.float32(GROWTH))[:, None]
    return np.concatenate([boxes[:, :2] - by, boxes[:, 2:] + by], axis=1)


def _partners(new: Floats, held: Floats) -> list[int]:
    """The held boxes that a new one stands for, best overlaps first, each new one once."""
    if not len(new) or not len(held):
        return []
    overlap = _iou(new, held)
    found = []
    for _ in range(min(len(new), len(held))):
        i, j = np.unravel_index(int(overlap.argmax()), overlap.shape)
        if overlap[i, j] < _SAME:
            break
        found.append(int(j))
        overlap[i, :] = overlap[:, j] = -1
    return found


def _iou(a: Floats, b: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - inner
    out: Floats = (inner / np.maximum(union, 1e-9)).astype(np.float32)
    return out
