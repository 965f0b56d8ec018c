"""Polygons and lines in a settings file: points in parts of the picture, from its upper left corner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeAlias

from edgecam.options import describe

Point: TypeAlias = tuple[float, float]


class Points:
    """A list of [x, y].

    Args:
        check: raises ValueError where the points don't fit together.
    """

    expected = "a list of points [x, y], each number from 0 to 1"

    def __init__(self, check: Callable[[tuple[Point, ...]], object]) -> None:
        self._check = check

    def take(self, value: object) -> tuple[Point, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        points = tuple(self._point(item) for item in value)
        self._check(points)
        return points

    def _point(self, value: object) -> Point:
        numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
        if len(numbers) != 2 or not all(type(n) in (int, float) for n in numbers):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        if not all(0 <= n <= 1 for n in numbers):
            raise ValueError(
                f"the point {describe(value)} lies outside of the picture: expected parts of it, from 0 to 1"
            )
        return float(numbers[0]), float(numbers[1])

    def toml(self, value: Sequence[Point]) -> str:
        return "[" + ", ".join(f"[{x!r}, {y!r}]" for x, y in value) + "]"


def check_polygon(points: Sequence[Point]) -> None:
    """
    Raises:
        ValueError: fewer than three points, two alike next to each other, or sides that cross.
    """
    n = len(points)
    if n < 3:
        raise ValueError(f"a polygon needs at least 3 points, got {n}")
    if any(points[i] == points[i - 1] for i in range(n)):
        raise ValueError("two neighbouring points are the same (the polygon closes by itself)")
    for i, j in combinations(range(n), 2):
        neighbours = j - i == 1 or j - i == n - 1
        if not neighbours and _touch(points[i], points[(i + 1) % n], points[j], points[(j + 1) % n]):
            raise ValueError(f"the sides after points {i + 1} and {j + 1} cross: name the points in order")
    if abs(_area(points)) < 1e-6:
        raise ValueError("the polygon has no area")


def check_line(points: Sequence[Point]) -> None:
    """
    Raises:
        ValueError: not two points, or twice the same.
    """
    if len(points) != 2:
        raise ValueError(f"a line has 2 points, got {len(points)}")
    if points[0] == points[1]:
        raise ValueError("the line's two points are the same")


def _area(points: Sequence[Point]) -> float:
    pairs = zip(points, (*points[1:], points[0]), strict=True)
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs) / 2


def _turn(a: Point, b: Point, c: Point) -> int:
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0 if abs(cross) < 1e-12 else int(math.copysign(1, cross))


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two closed segments have a point in common."""
    turns = (_turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b))
    if turns[0] != turns[1] and turns[2] != turns[3]:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _between(*end) for turn, end in zip(turns, ends, strict=True))


def _between(a: Point, b: Point, p: Point) -> bool:
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
