"""The geometry tells where the pixels really went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam import jpeg
from edgecam.errors import FrameError
from edgecam.preprocess import Preprocessor
from edgecam.types import Frame, Image
from tests.helpers.boxes import PLAIN, drawn_box, found_box, jpeg_frame, noise, tensor_info


@st.composite
def scenes(draw: st.DrawFn) -> tuple[int, int, tuple[int, int, int, int]]:
    """A frame and a box in it, large enough to survive a shrink, often touching the edge."""
    width, height = draw(st.integers(64, 900)), draw(st.integers(64, 900))
    x1 = draw(st.one_of(st.just(0), st.integers(0, width // 3)))
    y1 = draw(st.one_of(st.just(0), st.integers(0, height // 3)))
    x2 = draw(st.one_of(st.just(width), st.integers(width * 2 // 3, width)))
    y2 = draw(st.one_of(st.just(height), st.integers(height * 2 // 3, height)))
    return width, height, (x1, y1, x2, y2)


@settings(max_examples=150, deadline=None)
@given(scenes(), st.integers(48, 400), st.integers(48, 400))
def test_a_letterboxed_box_comes_back_to_the_pixel(
    scene: tuple[int, int, tuple[int, int, int, int]], input_width: int, input_height: int
) -> None:
    width, height, box = scene
    # A black border, so that a box at the edge of the frame has an edge in the tensor too.
    spec = replace(PLAIN, resize="letterbox", options={"pad": 0})
    info = tensor_info(input_width, input_height)
    tensor, geometry = Preprocessor(spec, info).from_image(drawn_box(width, height, box))
    found = found_box(tensor, geometry, box)
    if min(geometry.scale) >= 1:
        assert np.rint(found).astype(int).tolist() == list(box)
    else:  # an edge cannot be seen sharper than the input's own pixels
        reach = 0.5 / np.array(geometry.scale * 2)
        assert (np.abs(found - box) <= reach + 0.01).all(), (found, box, geometry)


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (720, 1280), (1920, 1080), (320, 320)])
def test_a_letterboxed_box_at_a_whole_shrink_is_found_exactly(size: tuple[int, int]) -> None:
    width, height = size
    box = (0, height // 16 * 4, width // 16 * 12, height)
    spec = replace(PLAIN, resize="letterbox", options={"pad": 0})
    longest = max(size)
    for factor in (1, 2, 4):
        info = tensor_info(longest // factor, longest // factor)
        tensor, geometry = Preprocessor(spec, info).from_image(drawn_box(width, height, box))
        np.testing.assert_allclose(found_box(tensor, geometry, box), box, atol=1e-3)


@settings(max_examples=80, deadline=None)
@given(scenes(), st.sampled_from(["stretch", "crop"]), st.integers(48, 400), st.integers(48, 400))
def test_a_stretched_or_cropped_box_comes_back(
    scene: tuple[int, int, tuple[int, int, int, int]], resize: Any, input_width: int, input_height: int
) -> None:
    width, height, box = scene
    info = tensor_info(input_width, input_height)
    tensor, geometry = Preprocessor(replace(PLAIN, resize=resize), info).from_image(
        drawn_box(width, height, box)
    )
    # What the crop cut away cannot be found: compare with the part of the box that is seen.
    corners = np.array([[0, 0, input_width, input_height]], np.float32)
    seen = geometry.to_frame(corners)[0]
    wanted = np.array([*np.maximum(box[:2], seen[:2]), *np.minimum(box[2:], seen[2:])])
    found = found_box(tensor, geometry, wanted)
    reach = np.maximum(0.5, 0.5 / np.array(geometry.scale * 2))
    assert (np.abs(found - wanted) <= reach + 0.01).all(), (found, wanted, geometry)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_the_whole_frame_is_the_whole_letterbox_whatever_the_sizes(w: int, h: int, iw: int, ih: int) -> None:
    if w * h > 4_000_000:
        w, h = min(w, 2000), min(h, 2000)
    spec = replace(PLAIN, resize="letterbox", options={"pad": 1})
    tensor, geometry = Preprocessor(spec, tensor_info(iw, ih)).from_image(np.full((h, w, 3), 200, np.uint8))
    x1, y1, x2, y2 = geometry.to_input(np.array([0, 0, w, h], np.float32))
    # Drawn on whole pixels, centred, and touching at least two borders.
    rows, columns = (
        np.flatnonzero((tensor[0, :, :, 0] == 200).any(1)),
        np.flatnonzero((tensor[0, :, :, 0] == 200).any(0)),
    )
    np.testing.assert_allclose(
        [x1, y1, x2, y2], [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1e-2
    )
    assert len(rows) == ih or len(columns) == iw
    assert abs((x1 + x2) - iw) <= 1.01 and abs((y1 + y2) - ih) <= 1.01
    assert set(np.unique(tensor)) <= {1, 200}


def test_the_border_is_grey_again_after_frames_of_another_shape() -> None:
    preprocess = Preprocessor(replace(PLAIN, resize="letterbox"), tensor_info(64, 64))
    white = {shape: np.full((*shape, 3), 255, np.uint8) for shape in ((36, 64), (64, 36))}
    for _ in range(2):
        wide, _ = preprocess.from_image(white[36, 64])
        assert (wide[0, :14] == 114).all() and (wide[0, 14:50] == 255).all() and (wide[0, 50:] == 114).all()
        tall, _ = preprocess.from_image(white[64, 36])
        assert (tall[0, :, :14] == 114).all() and (tall[0, :, 14:50] == 255).all()
        assert (tall[0, :, 50:] == 114).all()


@pytest.mark.parametrize(
    "size", [(1280, 720), (1920, 1080), (640, 480), (1296, 972), (1281, 721), (512, 929)]
)
@pytest.mark.parametrize("side", [96, 224, 300])
def test_fine_stripes_become_grey_and_not_coarse_stripes(size: tuple[int, int], side: int) -> None:
    """Aliasing: a pattern too fine for the input must vanish, not show up as another one."""
    for axis in (0, 1):
        if size[1 - axis] < 4 * side:
            continue  # not fine enough
        image = np.zeros((size[1], size[0], 3), np.uint8)
        stripes = np.arange(size[1 - axis]) % 2 == 1
        image[stripes if axis == 0 else np.s_[:, stripes]] = 255
        tensor, _ = Preprocessor(PLAIN, tensor_info(side, side)).from_image(image)
        assert np.abs(tensor[0, 1:-1, 1:-1].astype(int) - 128).max() < 50


@pytest.mark.parametrize("odd", [9, 15, 21, 27])
@pytest.mark.parametrize("across", [False, True], ids=["columns", "rows"])
def test_no_line_of_an_odd_picture_is_skipped(odd: int, across: bool) -> None:
    """Halving an odd number of columns leaves one over: what stands in it must show all the same."""
    preprocess = Preprocessor(PLAIN, tensor_info(*((8, odd // 3) if across else (odd // 3, 8))))
    for at in range(odd):
        image = np.zeros((8, odd, 3), np.uint8)
        image[:, at] = 255
        tensor, _ = preprocess.from_image(image.swapaxes(0, 1) if across else image)
        assert tensor.max() > 50, at


@pytest.mark.parametrize(
    ("resize", "frame", "least"),
    [
        ("stretch", (1280, 720), (200, 150)),
        ("letterbox", (1280, 720), (200, 112)),
        ("letterbox", (720, 1280), (84, 150)),
        ("crop", (1280, 720), (267, 150)),
        ("crop", (720, 1280), (200, 356)),
        ("crop", (100, 75), (200, 150)),
    ],
)
def test_how_many_pixels_a_decoder_must_give(
    resize: Any, frame: tuple[int, int], least: tuple[int, int]
) -> None:
    assert Preprocessor(replace(PLAIN, resize=resize), tensor_info(200, 150)).need(frame) == least


def test_a_crop_takes_the_middle() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    tensor, geometry = Preprocessor(replace(PLAIN, resize="crop"), tensor_info(50, 50)).from_image(image)
    assert (tensor == 255).all()
    assert geometry.to_frame(np.array([0, 0, 50, 50], np.float32)).tolist() == [100, 0, 200, 100]


# JPEG frames decoded at reduced size


@pytest.mark.parametrize("size", [(1280, 720), (1281, 721), (1287, 727), (641, 479)])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("side", [128, 224, 300])
def test_a_reduced_jpeg_still_maps_to_the_whole_frame(size: tuple[int, int], resize: Any, side: int) -> None:
    width, height = size
    box = (width * 2 // 3, height // 4, width - 9, height * 4 // 5)
    frame = jpeg_frame(drawn_box(width, height, box))
    spec = replace(PLAIN, resize=resize, options={"pad": 0})
    tensor, geometry = Preprocessor(spec, tensor_info(side, side))(frame)
    assert frame._image is None, "decoded in full"
    assert geometry.frame == size
    reach = 0.35 / np.array(geometry.scale * 2)
    assert (np.abs(found_box(tensor, geometry, box) - box) <= reach).all()


@pytest.mark.parametrize("size", [(1281, 721), (1287, 727), (641, 479), (1283, 1201)])
@pytest.mark.parametrize("side", [96, 160])
def test_the_edge_of_the_input_is_the_edge_of_the_frame(size: tuple[int, int], side: int) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    _, geometry = Preprocessor(PLAIN, tensor_info(side, side))(jpeg_frame(image))
    whole = geometry.to_frame(np.array([0, 0, side, side], np.float32))
    assert whole.tolist() == [0, 0, *size]


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(1280, 720), (719, 1281), (3000, 500)])
def test_no_more_is_reduced_than_the_input_can_bear(size: tuple[int, int], resize: Any) -> None:
    given: list[tuple[int, int]] = []

    def decode(data: bytes, min_width: int, min_height: int) -> Image:
        image = jpeg.decode(data, min_width, min_height)
        given.append((image.shape[1], image.shape[0]))
        return image

    data = jpeg.encode(np.zeros((size[1], size[0], 3), np.uint8))
    frame = Frame(0, jpeg=data, size=size, decode=decode)
    _, geometry = Preprocessor(replace(PLAIN, resize=resize), tensor_info(200, 150))(frame)
    # Reduced at all, but never under one pixel at hand for each pixel drawn.
    assert given[0][0] < size[0] and given[0][1] < size[1]
    assert given[0][0] >= np.floor(geometry.scale[0] * size[0])
    assert given[0][1] >= np.floor(geometry.scale[1] * size[1])


def test_the_last_partly_filled_pixel_of_a_reduced_jpeg_is_counted_as_such() -> None:
    # 1281 columns reduced by 8 are 161, of which the last holds an eighth of a pixel. The quotient of the
    # sizes would put what lies at the right edge seven pixels off.
    width, height = 1281, 721
    box = (1200, 320, 1272, 400)  # on whole reduced pixels
    tensor, geometry = Preprocessor(PLAIN, tensor_info(161, 91))(jpeg_frame(drawn_box(width, height, box)))
    np.testing.assert_allclose(found_box(tensor, geometry, box), box, atol=0.5)


def test_a_broken_jpeg_is_an_error_of_the_frame() -> None:
    data = jpeg.encode(noise(64, 64))[:200]
    frame = Frame(0, jpeg=data, size=(64, 64), decode=jpeg.decode)
    with pytest.raises(FrameError):
        Preprocessor(PLAIN, tensor_info(32, 32))(frame)


@pytest.mark.real
def test_a_photograph_as_jpeg_and_as_pixels_look_alike(real: Path) -> None:
    data = (real / "cat_720p.jpg").read_bytes()
    frame = Frame(0, jpeg=data, size=jpeg.size(data), decode=jpeg.decode)
    preprocess = Preprocessor(PLAIN, tensor_info(224, 224))
    reduced = preprocess(frame)[0].astype(int)
    whole = preprocess.from_image(jpeg.decode(data))[0].astype(int)
    assert np.abs(reduced - whole).mean() < 2
