"""What is covered cannot be had back: pixels, not looks."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.privacy.mask import Mask
from edgecam.privacy.paint import COLOR, SQUARES, cover, cover_masks, widen
from edgecam.types import Floats, Image


def noise(width: int = 96, height: int = 64) -> Image:
    return np.random.default_rng(5).integers(60, 256, (height, width, 3), dtype=np.uint8)


coordinates = st.floats(-40, 140, width=32)


@given(st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=4))
def test_solid_leaves_no_pixel_of_a_box_and_none_beside_it_changes(rows: list[tuple[float, ...]]) -> None:
    corners = np.array(rows, np.float32).reshape(-1, 2, 2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 0.5], axis=1)
    image = noise()
    cover(image, boxes, "solid")
    y, x = np.mgrid[0:64, 0:96]
    inside = np.zeros((64, 96), bool)
    for x1, y1, x2, y2 in boxes:
        if x2 > x1 and y2 > y1:
            inside |= (x + 1 > x1) & (x < x2) & (y + 1 > y1) & (y < y2)
    assert (image[inside] == COLOR).all()
    assert (image[~inside] == noise()[~inside]).all()


@given(st.integers(0, 80), st.integers(0, 50), st.integers(1, 96), st.integers(1, 64))
def test_pixelate_leaves_a_handful_of_colours(x: int, y: int, width: int, height: int) -> None:
    """However large a box: no more values than squares, so no more than that can be known of it."""
    image = noise()
    cover(image, np.array([[x, y, x + width, y + height]], np.float32), "pixelate")
    part = image[y : y + height, x : x + width]
    assert len(np.unique(part.reshape(-1, 3), axis=0)) <= SQUARES * SQUARES


def test_a_box_that_nobody_knows_covers_all() -> None:
    image = noise()
    cover(image, np.array([[0, 0, np.nan, 5]], np.float32), "pixelate")
    assert (image == COLOR).all()


def test_a_margin_is_of_the_boxs_own_size() -> None:
    wide: Floats = widen(np.array([[10, 20, 30, 60]], np.float32), 0.5)
    assert wide.tolist() == [[0, 0, 40, 80]]


@pytest.mark.parametrize("fill", ["solid", "pixelate"])
@settings(max_examples=12)
@given(data=st.data())
def test_masks_cover_what_lies_within(fill: str, data: st.DataObject) -> None:
    part = st.floats(0, 1)
    corners = [data.draw(st.tuples(part, part)) for _ in range(3)]
    try:
        mask = Mask(tuple(corners), fill=fill)  # type: ignore[arg-type]
    except ValueError:
        return
    image, before = noise(), noise()
    cover_masks(image, (mask,))
    outline = (np.array(corners) * (96, 64)).astype(np.float32)
    distance = np.array(  # of each pixel's middle from the edge, positive inside
        [[cv2.pointPolygonTest(outline, (x + 0.5, y + 0.5), True) for x in range(96)] for y in range(64)]
    )
    if fill == "solid":
        assert (image[distance >= 0] == COLOR).all()
    assert (image[distance < -4] == before[distance < -4]).all()


def test_a_pixelated_mask_of_the_whole_picture_is_a_few_squares() -> None:
    image = noise(1920, 1080)
    cover_masks(image, (Mask(((0, 0), (1, 0), (1, 1), (0, 1)), fill="pixelate"),))
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    assert len(np.unique(packed)) <= 21 * 12
