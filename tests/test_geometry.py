"""Geometry: frame pixels to input pixels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.types import Geometry

sides = st.integers(1, 5000)
factors = st.floats(0.02, 50)
offsets = st.floats(-500, 500)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    return Geometry(
        frame=(draw(sides), draw(sides)),
        input=(300, 300),
        scale=(draw(factors), draw(factors)),
        pad=(draw(offsets), draw(offsets)),
    )


@given(geometries(), st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5))
def test_there_and_back(geometry: Geometry, shares: list[tuple[float, ...]]) -> None:
    boxes = np.array(shares, np.float32).reshape(-1, 4) * np.array(geometry.frame * 2, np.float32)
    back = geometry.to_frame(geometry.to_input(boxes))
    assert back.dtype == np.float32
    # One float32 step of the largest number on the way, brought back to frame pixels.
    largest = max(max(geometry.frame) * max(geometry.scale), 500.0)
    step = 4 * np.finfo(np.float32).eps * largest / min(geometry.scale)
    np.testing.assert_allclose(back, boxes, atol=step, rtol=1e-5)


@given(geometries(), st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4))
def test_nothing_comes_back_outside_the_frame(geometry: Geometry, box: list[float]) -> None:
    x1, y1, x2, y2 = geometry.to_frame(np.array([box], np.float32))[0]
    assert min(x1, x2) >= 0 and max(x1, x2) <= geometry.frame[0]
    assert min(y1, y2) >= 0 and max(y1, y2) <= geometry.frame[1]


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (2, 6, 2), (0, 6, 2), (5, 0, 2), (2,)])
def test_boxes_and_points_keep_their_shape(shape: tuple[int, ...]) -> None:
    geometry = Geometry((640, 480), (300, 300), (0.5, 0.25), (10.0, 20.0))
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert geometry.to_frame(values).shape == shape
    assert geometry.to_input(values).shape == shape


def test_x_and_y_are_not_confused() -> None:
    geometry = Geometry((640, 480), (320, 320), (0.5, 0.25), (10.0, 40.0))
    assert geometry.to_input(np.array([[100, 100, 200, 200]], np.float32)).tolist() == [[60, 65, 110, 90]]
    assert geometry.to_frame(np.array([60, 65], np.float32)).tolist() == [100, 100]
