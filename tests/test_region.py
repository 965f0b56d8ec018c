"""A part of the picture alone is given to the model, and its boxes come back to where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgecam import build, build_model, jpeg
from edgecam.config import Settings
from edgecam.errors import UsageError
from edgecam.preprocess import Preprocessor, Region
from edgecam.types import Detections, Frame, Image
from edgecam.values import parse_region
from tests.helpers.boxes import PLAIN, drawn_box, found_box, jpeg_frame, noise, tensor_info

RESIZES = ["stretch", "letterbox", "crop"]
parts = st.integers(0, 100).map(lambda n: n / 100)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    left, top = draw(st.integers(0, 70)), draw(st.integers(0, 70))
    right, bottom = draw(st.integers(left + 20, 100)), draw(st.integers(top + 20, 100))
    return left / 100, top / 100, right / 100, bottom / 100


sizes = st.tuples(st.integers(200, 900), st.integers(200, 900))


def pixels_of(region: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in whole pixels of the frame."""
    return tuple(round(part * size[n % 2]) for n, part in enumerate(region))  # type: ignore[return-value]


@settings(max_examples=150, deadline=None)
@given(sizes, regions(), st.sampled_from(RESIZES), st.integers(48, 400), st.integers(48, 400), st.booleans())
def test_a_box_in_the_region_comes_back(
    size: tuple[int, int], region: Region, resize: Any, width: int, height: int, as_jpeg: bool
) -> None:
    x1, y1, x2, y2 = pixels_of(region, size)
    box = (
        x1 + (x2 - x1) // 4,
        y1 + (y2 - y1) // 4,
        x2 - (x2 - x1) // 4,
        y2 - (y2 - y1) // 4,
    )
    assume(min(box[2] - box[0], box[3] - box[1]) >= 16)
    spec = replace(PLAIN, resize=resize, options={"pad": 0})
    image = drawn_box(*size, box)
    frame = jpeg_frame(image) if as_jpeg else Frame(0, image)
    tensor, geometry = Preprocessor(spec, tensor_info(width, height), region)(frame)
    assert geometry.frame == size
    corners = np.array([[0, 0, width, height]], np.float32)
    seen = geometry.to_frame(corners)[0]
    wanted = np.array([*np.maximum(box[:2], seen[:2]), *np.minimum(box[2:], seen[2:])])
    found = found_box(tensor, geometry, wanted)
    # An edge is seen no sharper than the input's pixels, or those that the decoder has left.
    reach = np.maximum(0.5, 0.5 / np.array(geometry.scale * 2)) * (2 if as_jpeg else 1)
    assert (np.abs(found - wanted) <= reach + 0.01).all(), (found, wanted, geometry)


@settings(max_examples=150, deadline=None)
@given(sizes, regions(), st.sampled_from(RESIZES))
def test_the_input_is_filled_from_within_the_region_alone(
    size: tuple[int, int], region: Region, resize: Any
) -> None:
    """Outside of it is white, inside black: no white is seen, whatever the resize averages."""
    x1, y1, x2, y2 = pixels_of(region, size)
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    image[y1:y2, x1:x2] = 0
    spec = replace(PLAIN, resize=resize, options={"pad": 0})
    tensor, geometry = Preprocessor(spec, tensor_info(96, 64), region)(Frame(0, image))
    assert tensor.max() == 0
    seen = geometry.to_frame(np.array([0, 0, 96, 64], np.float32))
    if resize == "stretch":
        np.testing.assert_allclose(seen, (x1, y1, x2, y2), atol=0.01)


@settings(max_examples=60, deadline=None)
@given(sizes, st.sampled_from(RESIZES), st.booleans())
def test_all_of_the_picture_as_region_is_the_same_as_none(
    size: tuple[int, int], resize: Any, as_jpeg: bool
) -> None:
    image = noise(*size)
    frame = jpeg_frame(image) if as_jpeg else Frame(0, image)
    spec = replace(PLAIN, resize=resize)
    plain, geometry = Preprocessor(spec, tensor_info(64, 48))(frame)
    whole, same = Preprocessor(spec, tensor_info(64, 48), (0, 0, 1, 1))(frame)
    assert np.array_equal(plain, whole) and geometry == same


@given(st.integers(1, 3000), st.integers(1, 3000), parts, parts, parts, parts)
@settings(max_examples=200, deadline=None)
def test_a_region_holds_a_pixel_however_small_the_picture(
    width: int, height: int, a: float, b: float, c: float, d: float
) -> None:
    assume(a != c and b != d and width * height < 1_000_000)
    region = (min(a, c), min(b, d), max(a, c), max(b, d))
    image = np.zeros((height, width, 3), np.uint8)
    preprocess = Preprocessor(PLAIN, tensor_info(8, 8), region)
    frame = Frame(0, image)
    assert preprocess.view(frame).size > 0
    tensor, geometry = preprocess(frame)
    box = geometry.to_frame(np.array([0, 0, 8, 8], np.float32))
    assert tensor.shape == (1, 8, 8, 3) and (box[2:] > box[:2]).all()


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("region", [(0.25, 0.25, 0.75, 0.75), (0.6, 0.1, 1.0, 0.4), (0.0, 0.0, 0.3, 1.0)])
def test_a_jpeg_is_reduced_as_far_as_the_region_bears_and_decoded_once(resize: Any, region: Region) -> None:
    given: list[tuple[int, int]] = []

    def decode(data: bytes, min_width: int, min_height: int) -> Image:
        image = jpeg.decode(data, min_width, min_height)
        given.append((image.shape[1], image.shape[0]))
        return image

    data = jpeg.encode(np.zeros((2160, 3840, 3), np.uint8))
    frame = Frame(0, jpeg=data, size=(3840, 2160), decode=decode)
    preprocess = Preprocessor(replace(PLAIN, resize=resize), tensor_info(200, 150), region)
    view = preprocess.view(frame)
    _, geometry = preprocess(frame)
    assert len(given) == 1 and given[0][0] < 3840
    # Never fewer pixels at hand than the input has room for.
    assert given[0][0] >= np.floor(geometry.scale[0] * 3840) and given[0][1] >= np.floor(
        geometry.scale[1] * 2160
    )
    assert view.shape[1] / given[0][0] <= region[2] - region[0] + 0.01


# the setting


@pytest.mark.parametrize("text", ["0.25,0.4 0.75,1", "0,0 1,1", " 0.1,0.2   0.3,0.4 "])
def test_a_region_is_two_corners(text: str) -> None:
    left, top, right, bottom = parse_region(text)
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


WRONG = [
    "",
    "0,0",
    "0,0 1,1 1,0",
    "0.5,0 0.5,1",
    "0.7,0 0.5,1",
    "0,0 1,1.1",
    "-0.1,0 1,1",
    "nan,0 1,1",
    "a,b c,d",
]


@pytest.mark.parametrize("text", [*WRONG, "0,0,0 1,1"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected two corners X,Y X,Y .* \(0.25,0.4 0.75,1\)"):
        parse_region(text)


@pytest.mark.parametrize("blur", ["person", "faces"])
@pytest.mark.parametrize("sparing", [{"region": "0,0 0.5,0.5"}, {"motion": True}])
def test_what_is_to_be_covered_is_looked_for_everywhere(sparing: dict[str, Any], blur: str) -> None:
    chosen = Settings(source="demo:", blur=(blur,), **sparing)
    with pytest.raises(UsageError, match="does not go with blur: what the model does not look at"):
        build.check(chosen)
    with pytest.raises(UsageError, match="does not go with blur"):
        build.run(chosen, print)


# a real model


@pytest.mark.real
def test_what_is_too_small_for_the_whole_picture_is_found_in_its_part(real: Path) -> None:
    """A cat of an eighth of the picture's width: lost in all of it, found where one looks for it alone."""
    cat = jpeg.decode((real / "cat_720p.jpg").read_bytes(), 320, 180)[:180, :320]
    image = np.full((1440, 2560, 3), 127, np.uint8)
    image[600 : 600 + cat.shape[0], 1000 : 1000 + cat.shape[1]] = cat

    def cats(region: str | None) -> list[list[float]]:
        model = build_model.load_model(Settings(region=region, threads=1))
        found = model.run(Frame(0, image))
        model.engine.close()
        assert isinstance(found, Detections)
        rows = [n for n, class_id in enumerate(found.class_id) if model.labels[class_id] == "cat"]
        return [[float(v) for v in found.xyxy[n]] for n in rows]

    assert cats(None) == []
    (box,) = cats("0.37,0.39 0.54,0.57")
    place = (1000, 600, 1000 + cat.shape[1], 600 + cat.shape[0])
    assert box[0] >= place[0] - 20 and box[1] >= place[1] - 20
    assert box[2] <= place[2] + 20 and box[3] <= place[3] + 20
    assert (box[2] - box[0]) * (box[3] - box[1]) > 0.4 * (place[2] - place[0]) * (place[3] - place[1])
