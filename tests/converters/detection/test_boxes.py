"""Matching, encoding and moving of boxes, held against the decoder of the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.average_precision import overlaps
from converters.detection import anchors, matching, patches
from converters.training.plan import Plan
from edgecam.contract import ModelSpec
from edgecam.errors import UsageError
from edgecam.heads.anchors import make_anchors
from edgecam.heads.ssd import SsdAnchorsHead
from edgecam.types import Detections, Geometry, HeadOptions, TensorInfo

SIDE = 96
TOLD = {"kind": "ssd", "strides": [8, 16, 32], "scales": [0.15, 0.3, 0.6], "aspect_ratios": [1.0, 2.0, 0.5]}
MADE = make_anchors(TOLD, SIDE, SIDE)
WHOLE = np.array([0, 0, 1, 1], np.float32)


@st.composite
def boxes(draw: st.DrawFn, most: int = 8, least_side: float = 0.03) -> np.ndarray:
    """xyxy relative to the picture, float32 (M, 4)."""
    part = st.floats(0, 1, width=32)
    rows = []
    for _ in range(draw(st.integers(1, most))):
        w, h = (least_side + draw(part) * (1 - least_side) for _ in range(2))
        x, y = draw(part) * (1 - w), draw(part) * (1 - h)
        rows.append([x, y, x + w, y + h])
    return np.asarray(rows, np.float32)


def decoded(truth: np.ndarray, classes: int) -> Detections:
    """What the device makes of a network that says exactly what training asks for."""
    options = {
        "anchors": TOLD,
        "box_scales": list(matching.SCALES),
        "background": False,
        "activation": "sigmoid",
        "iou": 0.95,
    }
    spec = ModelSpec("x", "detect", "ssd-anchors", outputs={"boxes": "0", "scores": "1"}, options=options)
    kind = np.dtype(np.float32)
    outputs = [TensorInfo("b", (1, len(MADE), 4), kind), TensorInfo("s", (1, len(MADE), classes), kind)]
    image = TensorInfo("i", (1, SIDE, SIDE, 3), np.dtype(np.uint8))
    head = SsdAnchorsHead(spec, image, outputs, HeadOptions(threshold=0.5, top_k=1000))
    logits = np.where(truth[None, :, 5:] > 0, 8.0, -8.0).astype(np.float32)
    geometry = Geometry((SIDE, SIDE), (SIDE, SIDE), (1.0, 1.0), (0.0, 0.0))
    return head.decode([truth[None, :, :4], logits], geometry)


@settings(deadline=None)
@given(boxes(), st.data())
def test_what_is_encoded_the_device_decodes(truth: np.ndarray, data: st.DataObject) -> None:
    class_id = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(truth), max_size=len(truth))))
    found = decoded(matching.targets(MADE, truth, class_id, 3), 3)
    for box, kind in zip(truth * SIDE, class_id, strict=True):
        same = overlaps(found.xyxy[found.class_id == kind], box[None])[:, 0]
        # A box of nearly the same place and class may have suppressed it.
        assert same.max(initial=0) > 0.94
    for box, kind in zip(found.xyxy, found.class_id, strict=True):
        assert overlaps(box[None], truth[class_id == kind] * SIDE).max() > 0.99


@settings(deadline=None)
@given(boxes())
def test_every_box_has_an_anchor(truth: np.ndarray) -> None:
    found = matching.match(MADE, truth)
    overlap = overlaps(matching.corners(MADE), truth)
    assert set(range(len(truth))) <= set(found.tolist())
    assert (overlap.max(1)[found == matching.BACKGROUND] < matching.NEGATIVE).all()
    between = overlap.max(1)[found == matching.IGNORED]
    assert ((between >= matching.NEGATIVE) & (between < matching.POSITIVE)).all()
    own = found[overlap.max(1) >= matching.POSITIVE]
    assert (own >= 0).all()


def test_without_boxes_all_is_background() -> None:
    assert (matching.match(MADE, np.zeros((0, 4), np.float32)) == matching.BACKGROUND).all()
    assert not matching.targets(MADE, np.zeros((0, 4), np.float32), np.zeros(0, int), 2).any()


def test_two_boxes_that_want_one_anchor_have_one_each() -> None:
    box = [0.41, 0.41, 0.56, 0.56]
    found = matching.match(MADE, np.array([box, box], np.float32))
    assert {0, 1} <= set(found.tolist())


def painted(box: np.ndarray, side: int = 120) -> np.ndarray:
    """Black with a white box; its edges lie on pixels."""
    picture = np.zeros((side, side, 3), np.uint8)
    x, y, x2, y2 = np.rint(box * side).astype(int)
    picture[y:y2, x:x2] = 255
    return picture


def seen(picture: np.ndarray) -> np.ndarray:
    """Where the white is, xyxy relative to the picture."""
    white = picture[..., 0] > 190
    ys, xs = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    height, width = white.shape
    return np.array([xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height])


@settings(deadline=None, max_examples=60)
@given(boxes(most=1, least_side=0.1))
def test_a_mirrored_box_lies_where_its_pixels_do(truth: np.ndarray) -> None:
    truth = np.rint(truth * 120).astype(np.float32) / 120
    picture, moved = patches.mirror(painted(truth[0]), truth)
    np.testing.assert_allclose(seen(picture), moved[0], atol=1e-6)
    again, back = patches.mirror(picture, moved)
    np.testing.assert_array_equal(again, painted(truth[0]))
    np.testing.assert_allclose(back, truth, atol=1e-6)


@settings(deadline=None, max_examples=120)
@given(boxes(most=1, least_side=0.1), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 0.5))
def test_a_cut_box_lies_where_its_pixels_do(truth: np.ndarray, seed: int, crop: float, most: float) -> None:
    truth = np.rint(truth * 120).astype(np.float32) / 120
    plan = Plan(shift=min(most, 0.4), zoom=most)
    part = patches.draw(np.random.default_rng(seed), plan, crop, truth)
    found = patches.cut(painted(truth[0]), truth, part)
    assert found.picture.shape == (120, 120, 3)
    for box in found.boxes:
        assert (box >= 0).all()
        assert (box <= 1).all()
        # Two pixels: the picture is resampled.
        np.testing.assert_allclose(seen(found.picture), box, atol=2.1 / 120 / min(part[2:] - part[:2]))


def test_a_whole_cut_changes_nothing() -> None:
    truth = np.array([[0.25, 0.25, 0.5, 0.75]], np.float32)
    picture = painted(truth[0])
    found = patches.cut(picture, truth, WHOLE)
    np.testing.assert_array_equal(found.picture, picture)
    np.testing.assert_array_equal(found.boxes, truth)


def test_boxes_whose_centre_leaves_are_dropped() -> None:
    truth = np.array([[0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9]], np.float32)
    found = patches.cut(np.zeros((50, 50, 3), np.uint8), truth, np.array([0.3, 0.3, 1, 1], np.float32))
    assert found.kept.tolist() == [1]
    np.testing.assert_allclose(found.boxes, [[0.3 / 0.7, 0.3 / 0.7, 0.6 / 0.7, 0.6 / 0.7]], rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(boxes(most=30), st.sampled_from([(96, 96), (128, 96), (320, 320), (64, 200)]))
def test_chosen_anchors_fit_a_network_and_the_decoder(truth: np.ndarray, size: tuple[int, int]) -> None:
    told = anchors.choose(truth, size)
    made = make_anchors(told, size[1], size[0])
    cells = [-(-size[0] // s) * -(-size[1] // s) for s in told["strides"]]
    assert len(made) == sum(cells) * anchors.per_cell(told)
    assert len(told["strides"]) >= 2
    fits = anchors.best_overlaps(told, size, truth)
    assert fits.shape == (len(truth),)
    np.testing.assert_allclose(fits, overlaps(matching.corners(made), truth).max(0), rtol=1e-6)


def test_usual_boxes_are_well_covered() -> None:
    rng = np.random.default_rng(0)
    sides = rng.uniform(0.1, 0.5, (300, 1)) * np.exp(rng.uniform(-0.4, 0.4, (300, 2)))
    start = rng.uniform(0, 1, (300, 2)) * (1 - sides)
    truth = np.concatenate([start, start + sides], 1).astype(np.float32)
    told = anchors.choose(truth, (320, 320))
    assert (anchors.best_overlaps(told, (320, 320), truth) >= 0.5).mean() > 0.9


@pytest.mark.parametrize(
    ("size", "more", "said"),
    [
        ((24, 24), {}, "an input of 24x24 is too small for the feature maps"),
        ((96, 96), {"strides": (16, 64)}, "strides 16, 64"),
        ((96, 96), {"strides": (8,)}, "strides 8"),
        ((64, 96), {"strides": (32, 64, 128)}, "an input of 96x64 has no feature map of stride 128"),
        ((96, 96), {"strides": (8, 16), "scales": (0.1,)}, "1 anchor scales for 2 maps"),
        ((96, 96), {"strides": (8, 16), "scales": (0.1, 2.0)}, "anchor scales or ratios that make no box"),
        ((96, 96), {"ratios": (-1.0,)}, "anchor scales or ratios that make no box"),
    ],
)
def test_numbers_that_do_not_fit_are_said(size: tuple[int, int], more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        anchors.choose(np.array([[0.1, 0.1, 0.3, 0.3]], np.float32), size, **more)
    assert said in error.value.message
    assert error.value.remedy
