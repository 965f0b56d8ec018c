"""Which points lie in a polygon, and who crosses a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgecam.points import Point

Columns: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

#: How far across a line counts, in parts of the object's height: boxes tremble.
BAND = 0.05


class Polygon:
    """A polygon of points in parts of the picture."""

    def __init__(self, points: Sequence[Point]) -> None:
        corners = np.array(points, np.float64)
        after = np.roll(corners, -1, axis=0)
        self._x, self._y, self._next_y = corners[:, 0], corners[:, 1], after[:, 1]
        rise = after[:, 1] - corners[:, 1]
        # A level side is crossed by no level ray: its slope is never used.
        self._slope = (after[:, 0] - corners[:, 0]) / np.where(rise == 0, 1, rise)

    def contains(self, points: Columns) -> Flags:
        """Bool (N,) for float64 (N, 2): a ray to the left meets an odd number of sides."""
        x, y = points[:, :1], points[:, 1:]
        spans = (self._y > y) != (self._next_y > y)
        left = x > self._x + (y - self._y) * self._slope
        inside: Flags = ((spans & left).sum(1) & 1).astype(bool)
        return inside


class Gate:
    """A line, and on which side of it each object was when it was last clearly beside it.

    Counting needs both: an object that stands on the line and trembles must not be counted over and over, and
    one that was not seen for a while must be counted when it comes back on the other side.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._ends = np.array(points, np.float64)
        self._beside: dict[int, tuple[bool, float, float]] = {}
        self._aspect = 0.0

    def _fit(self, aspect: float) -> None:
        """Make the line's ends and its direction those of a picture of this shape, in its heights."""
        self._aspect, self._scale = aspect, np.array([aspect, 1.0])
        self._a, self._b = self._ends * self._scale
        self._along = (self._b - self._a) / np.hypot(*(self._b - self._a))

    def cross(self, ids: Sequence[int], anchors: Columns, heights: Columns, aspect: float) -> list[int]:
        """Take the objects of a frame.

        Args:
            ids: N objects.
            anchors: float64 (N, 2), points in parts of the picture.
            heights: float64 (N,), of their boxes, in parts of the picture's height.
            aspect: width over height of the picture.

        Returns:
            N numbers: 1 for who crossed to the right of the line (``in``), -1 to the left, 0 for who did not.
        """
        if aspect != self._aspect:
            self._fit(aspect)
        points = anchors * self._scale
        off = points - self._a
        # The picture's y goes down: what is to the right of the way from a to b is positive.
        sides = off[:, 1] * self._along[0] - off[:, 0] * self._along[1]
        clear = np.abs(sides) > BAND * heights
        out = [0] * len(ids)
        rows = zip(ids, sides.tolist(), clear.tolist(), points.tolist(), strict=True)
        for i, (name, side, is_clear, (x, y)) in enumerate(rows):
            if not is_clear:
                continue
            before = self._beside.get(name)
            self._beside[name] = (side > 0, x, y)
            if before is not None and before[0] != (side > 0) and self._between(before[1:], (x, y)):
                out[i] = 1 if side > 0 else -1
        return out

    def _between(self, start: Point, end: Point) -> bool:
        """Whether the way from ``start`` to ``end``, on two sides of the line, passes between its ends."""

        def turn(p: Columns) -> float:
            return float((end[0] - start[0]) * (p[1] - start[1]) - (end[1] - start[1]) * (p[0] - start[0]))

        return turn(self._a) * turn(self._b) <= 0

    def forget(self, ids: Sequence[int]) -> None:
        """These objects are gone for good."""
        for name in ids:
            self._beside.pop(name, None)

    def __len__(self) -> int:
        return len(self._beside)
