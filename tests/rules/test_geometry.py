"""Points in polygons, and lines that are crossed."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecam.points import Point, check_polygon
from edgecam.rules.geometry import BAND, Gate, Polygon

SHAPE = ((0.2, 0.1), (0.8, 0.1), (0.8, 0.9), (0.5, 0.4), (0.2, 0.9))  # an M upside down: not convex
GRID = st.integers(0, 20).map(lambda n: n / 20)


def test_inside_and_outside_of_a_shape_with_a_notch() -> None:
    points = np.array([[0.5, 0.2], [0.25, 0.7], [0.75, 0.7], [0.5, 0.7], [0.1, 0.5], [0.9, 0.5], [0.5, 0.05]])
    assert Polygon(SHAPE).contains(points).tolist() == [True, True, True, False, False, False, False]
    assert Polygon(SHAPE[::-1]).contains(points).tolist() == [True, True, True, False, False, False, False]


@given(st.lists(st.tuples(GRID, GRID), min_size=3, max_size=7), st.integers(0, 2**32 - 1))
def test_it_is_what_opencv_says(corners: list[Point], seed: int) -> None:
    try:
        check_polygon(corners)
    except ValueError:
        assume(False)
    points = np.random.default_rng(seed).uniform(-0.1, 1.1, (40, 2))
    outline = np.array(corners, np.float32)
    wanted = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points]
    for has, distance in zip(Polygon(corners).contains(points).tolist(), wanted, strict=True):
        assert abs(distance) < 1e-5 or has == (distance > 0)


def test_no_points() -> None:
    assert Polygon(SHAPE).contains(np.zeros((0, 2))).shape == (0,)


class Walk:
    """One object of a height of 0.2 before a gate."""

    def __init__(self, points: tuple[Point, Point], aspect: float = 1.0) -> None:
        self.gate = Gate(points)
        self.aspect = aspect

    def __call__(self, *places: Point, name: int = 1) -> list[int]:
        found = [
            self.gate.cross([name], np.array([place]), np.array([0.2]), self.aspect)[0] for place in places
        ]
        return [way for way in found if way]


DOWN = ((0.5, 0.2), (0.5, 0.8))  # walking down the picture, the right hand is at its left
ACROSS = ((0.2, 0.5), (0.8, 0.5))  # walking to the right, the right hand points down


@pytest.mark.parametrize(
    ("line", "places", "ways"),
    [
        (DOWN, [(0.3, 0.5), (0.7, 0.5)], [-1]),
        (DOWN, [(0.7, 0.5), (0.3, 0.5)], [1]),
        (ACROSS, [(0.5, 0.3), (0.5, 0.7)], [1]),
        (ACROSS, [(0.5, 0.7), (0.5, 0.3)], [-1]),
        (DOWN, [(0.3, 0.9), (0.7, 0.9)], []),  # below its end
        (DOWN, [(0.3, 0.5), (0.4, 0.5), (0.45, 0.5), (0.45, 0.7)], []),  # never across
        (DOWN, [(0.3, 0.5), (0.6, 0.9), (0.3, 0.9)], [-1]),  # out through it, back around its end
        (DOWN, [(0.3, 0.5), (0.7, 0.5), (0.3, 0.5), (0.7, 0.5)], [-1, 1, -1]),
        (((0.2, 0.2), (0.8, 0.8)), [(0.6, 0.4), (0.4, 0.6)], [1]),
    ],
)
def test_ways_across(line: tuple[Point, Point], places: list[Point], ways: list[int]) -> None:
    assert Walk(line)(*places) == ways
    assert Walk(line[::-1])(*places) == [-way for way in ways]


def test_who_stands_on_the_line_and_trembles_is_counted_once() -> None:
    rng, walk = np.random.default_rng(1), Walk(DOWN)
    trembles = [(0.5 + x, 0.5) for x in rng.uniform(-0.9, 0.9, 300) * BAND * 0.2]
    assert walk((0.3, 0.5), *trembles, (0.7, 0.5), *trembles, (0.7, 0.5)) == [-1]


def test_who_was_away_for_a_while_is_counted_when_back() -> None:
    walk = Walk(DOWN)
    assert walk((0.3, 0.5)) == []
    for _ in range(50):
        walk((0.1, 0.1), name=2)
    assert walk((0.7, 0.5)) == [-1]


def test_the_first_sight_is_no_crossing_and_the_forgotten_are_new() -> None:
    walk = Walk(DOWN)
    assert walk((0.7, 0.5)) == []
    walk.gate.forget([1, 99])
    assert len(walk.gate) == 0 and walk((0.3, 0.5)) == []


def test_a_wide_picture_is_not_a_square() -> None:
    """0.006 of its width is beyond the band only where it is wide."""
    assert Walk(DOWN, 1.0)((0.494, 0.5), (0.506, 0.5)) == []
    assert Walk(DOWN, 2.0)((0.494, 0.5), (0.506, 0.5)) == [-1]


@given(st.lists(st.tuples(GRID, GRID), min_size=2, max_size=30))
def test_ways_through_an_endless_line_alternate(places: list[Point]) -> None:
    line = ((0.5, -50.0), (0.5, 50.0))
    ways = Walk(line)(*places)
    assert all(a == -b for a, b in itertools.pairwise(ways))
    clear = [x for x, _ in places if abs(x - 0.5) > BAND * 0.2]
    flips = sum((a > 0.5) != (b > 0.5) for a, b in itertools.pairwise(clear))
    assert len(ways) == flips
