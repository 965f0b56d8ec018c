"""Ids that stay with objects: ByteTrack (Zhang et al., 2022, arXiv:2110.06864), by the clock.

Sure detections are matched first, by overlap with where each object should be by now; then the weak ones,
which go on with an object that is half hidden, but never begin one. What differs from the paper: time is
seconds, so frame rates may change and frames may miss; only boxes of one class match; a weak one may also
find again an object that was lost for a moment; and an object that moves by more than its own size between
two frames is found by its distance from where it should be (the gate of DeepSORT, Wojke et al., 2017), where
the paper loses it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgecam.tracking.assignment import Costs, Index, assign
from edgecam.tracking.motion import Columns, Motion
from edgecam.types import Detections

_SURE = 0.8  # largest 1 - overlap * score of a sure detection and a known object (the paper's)
_WEAK = 0.5  # largest 1 - overlap of a weak one
_WEAK_AGAIN = 0.3  # the same, where the object was lost before (the paper lets it be lost)
_NEW = 0.7  # largest 1 - overlap * score of a sure one and an object that was seen once
_GATE = 9.21  # squared distance that 1 in 100 is beyond
_ALIKE = 2.0  # how many times larger or smaller a box may have become, for a match by distance

Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]


class Tracker:
    """Gives detections their ``track_id``.

    An object has an id from the second time on that it is found; ids count from 1 and never return.

    Args:
        lost: seconds for which an object that is not found is remembered.
    """

    def __init__(self, lost: float = 2.0) -> None:
        self._lost = lost
        self._now: float | None = None
        self._next = 1
        self._motion = Motion.begin(np.zeros((0, 4)))
        self._class = np.zeros(0, np.int32)
        self._id: Ids = np.zeros(0, np.int64)  # 0: seen once
        self._seen = np.zeros(0)
        self._present = np.zeros(0, bool)

    def __len__(self) -> int:
        """Objects that are known or may become known."""
        return len(self._id)

    def update(self, at: float, found: Detections, size: tuple[int, int], threshold: float) -> Detections:
        """Take a frame's detections.

        Args:
            at: seconds, never less than before (less counts as no time).
            found: those under ``threshold`` included, as weak as they come.
            size: (width, height) of the frame in pixels.
            threshold: least score of a sure detection.

        Returns:
            The sure ones and those weak ones that went on with an object, in their order, with ``track_id``
            (0 where an object is seen for the first time).
        """
        self._advance(at)
        usable: Flags = np.asarray(np.isfinite(found.xyxy).all(axis=1))
        if not usable.all():
            found = found.take(usable)
        place = _places(found, size)
        sure = found.score >= np.float32(threshold)
        match = self._match(place, found, sure)
        owners = np.flatnonzero(match >= 0)
        ids = np.zeros(len(found), np.int32)
        ids[owners] = self._hit(match[owners], place[owners])
        fresh = np.flatnonzero(sure & (match < 0))
        self._forget()
        self._begin(place[fresh], found.class_id[fresh])
        kept = sure | (match >= 0)
        return replace(found, track_id=ids) if kept.all() else replace(found, track_id=ids).take(kept)

    def _advance(self, at: float) -> None:
        seconds = 0.0 if self._now is None else max(0.0, at - self._now)
        self._now = at if self._now is None else max(self._now, at)
        if len(self) and seconds:
            self._motion.predict(seconds, ~self._present)

    # -- matching

    def _match(self, place: Columns, found: Detections, sure: Flags) -> Index:
        """The row of the object that each detection shows, intp (N,), -1 for none."""
        match = np.full(len(found), -1, np.intp)
        if not len(self) or not len(found):
            return match
        free = np.ones(len(self), bool)
        overlap = _overlap(self._motion.place, place)
        other = self._class[:, None] != found.class_id
        overlap[other] = 0.0
        by_score = 1 - overlap * found.score
        known = self._id > 0

        def pair(cost: Costs, rows: Flags, columns: Flags, limit: float) -> None:
            r, c = np.flatnonzero(rows & free), np.flatnonzero(columns & (match < 0))
            if len(r) and len(c):
                a, b = assign(cost[np.ix_(r, c)], limit)
                match[c[b]] = r[a]
                free[r[a]] = False

        pair(by_score, known, sure, _SURE)
        pair(1 - overlap, known & self._present, ~sure, _WEAK)
        pair(1 - overlap, known & ~self._present, ~sure, _WEAK_AGAIN)
        pair(by_score, ~known, sure, _NEW)
        if free.any() and (sure & (match < 0)).any():
            far = self._far(place, other)
            pair(far, known, sure, _GATE)
            pair(far, ~known, sure, _GATE)
        return match

    def _far(self, place: Columns, other: Flags) -> Costs:
        """Squared distances, infinite between boxes that are not alike."""
        cost = self._motion.distance(np.arange(len(self)), place)
        ratio = np.log(place[None, :, 2:]) - np.log(self._motion.place[:, None, 2:])
        cost[other | (np.abs(ratio) > math.log(_ALIKE)).any(2)] = np.inf
        return cost

    # -- the columns

    def _hit(self, rows: Index, place: Columns) -> Ids:
        """These objects, and no others, were found now; their ids, int64 (K,)."""
        self._motion.correct(rows, place)
        self._present[:] = False
        self._present[rows] = True
        self._seen[rows] = self._now
        fresh = rows[self._id[rows] == 0]
        self._id[fresh] = np.arange(self._next, self._next + len(fresh))
        self._next += len(fresh)
        return self._id[rows]

    def _forget(self) -> None:
        """Drop who was seen once and not again, and who has not been seen for too long."""
        assert self._now is not None
        keep = self._present | ((self._id > 0) & (self._now - self._seen <= self._lost))
        if keep.all():
            return
        self._motion = self._motion.take(keep)
        self._class, self._id = self._class[keep], self._id[keep]
        self._seen, self._present = self._seen[keep], self._present[keep]

    def _begin(self, place: Columns, class_id: npt.NDArray[np.int32]) -> None:
        n = len(place)
        if not n:
            return
        self._motion = self._motion.join(Motion.begin(place))
        self._class = np.concatenate((self._class, class_id))
        self._id = np.concatenate((self._id, np.zeros(n, np.int64)))
        self._seen = np.concatenate((self._seen, np.full(n, self._now)))
        self._present = np.concatenate((self._present, np.ones(n, bool)))


def _places(found: Detections, size: tuple[int, int]) -> Columns:
    """Centre, width and height in heights of the picture, so that its resolution may change."""
    boxes = found.xyxy.astype(np.float64) / size[1]
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, extent), axis=1)


def _overlap(a: Columns, b: Columns) -> Costs:
    """Intersection over union, float64 (N, M)."""
    low = np.maximum((a[:, :2] - a[:, 2:] / 2)[:, None], (b[:, :2] - b[:, 2:] / 2)[None])
    high = np.minimum((a[:, :2] + a[:, 2:] / 2)[:, None], (b[:, :2] + b[:, 2:] / 2)[None])
    both = np.maximum(high - low, 0).prod(2)
    out: Costs = both / (a[:, 2:].prod(1)[:, None] + b[:, 2:].prod(1)[None] - both)
    return out
