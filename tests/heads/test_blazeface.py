"""The BlazeFace head on made-up outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecam.errors import ContractError
from edgecam.heads.blazeface import BlazeFaceHead
from edgecam.types import Array, Geometry, HeadOptions, TensorInfo
from tests.heads.support import output, spec

SQUARE = TensorInfo("input", (1, 128, 128, 3), np.dtype(np.float32))
SAME = Geometry((128, 128), (128, 128), (1.0, 1.0), (0.0, 0.0))
OUTPUTS = [output("regressors", (1, 896, 16)), output("classificators", (1, 896, 1))]


def empty() -> list[Array]:
    return [np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -1000, np.float32)]


def put(
    arrays: list[Array], anchor: int, middle: tuple[float, float], box: tuple[float, ...], logit: float
) -> None:
    """A face (centre, size) at an anchor with its middle here; its keypoints lie on the box's corner."""
    cx, cy, w, h = box
    corner = (cx - w / 2 - middle[0], cy - h / 2 - middle[1])
    arrays[0][0, anchor] = [cx - middle[0], cy - middle[1], w, h, *corner * 6]
    arrays[1][0, anchor, 0] = logit


def head(user: HeadOptions | None = None, **fields: Any) -> BlazeFaceHead:
    return BlazeFaceHead(spec("blazeface", **fields), SQUARE, OUTPUTS, user or HeadOptions())


def test_anchors_are_the_middles_of_cells() -> None:
    # 16x16 cells of two anchors, then 8x8 cells of six.
    for anchor, middle in (
        (0, (4, 4)),
        (1, (4, 4)),
        (2, (12, 4)),
        (32, (4, 12)),
        (511, (124, 124)),
        (512, (8, 8)),
        (517, (8, 8)),
        (518, (24, 8)),
        (895, (120, 120)),
    ):
        arrays = empty()
        put(arrays, anchor, middle, (60, 50, 40, 30), 2.0)
        found = head().decode(arrays, SAME)
        np.testing.assert_allclose(found.xyxy, [[40, 35, 80, 65]], atol=1e-4)
        assert found.keypoints is not None
        np.testing.assert_allclose(found.keypoints, [[[40, 35]] * 6], atol=1e-4)
        np.testing.assert_allclose(found.score, [1 / (1 + np.exp(-2))], rtol=1e-6)
        assert found.class_id.tolist() == [0]


def test_boxes_over_one_face_are_blended_or_the_best_wins() -> None:
    arrays = empty()
    put(arrays, 0, (4, 4), (50, 50, 40, 40), 3.0)
    put(arrays, 2, (12, 4), (54, 50, 40, 40), 1.0)
    put(arrays, 895, (120, 120), (100, 100, 20, 20), 2.0)
    a, b = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))
    x = (50 * a + 54 * b) / (a + b)
    blended = head().decode(arrays, SAME)
    np.testing.assert_allclose(blended.xyxy, [[x - 20, 30, x + 20, 70], [90, 90, 110, 110]], atol=1e-3)
    assert blended.keypoints is not None
    np.testing.assert_allclose(blended.keypoints[0], [[x - 20, 30]] * 6, atol=1e-3)
    plain = head(options={"nms": "plain"}).decode(arrays, SAME)
    np.testing.assert_allclose(plain.xyxy, [[30, 30, 70, 70], [90, 90, 110, 110]], atol=1e-3)
    np.testing.assert_allclose(blended.score, plain.score)


def test_no_face_and_extreme_logits() -> None:
    arrays = empty()
    assert len(head().decode(arrays, SAME)) == 0
    arrays[1][0, 5] = 1e30
    arrays[0][0, 5, :4] = [30, 30, 20, 20]
    with np.errstate(all="raise", under="ignore"):
        assert head().decode(arrays, SAME).score.tolist() == [1.0]


def test_keypoints_are_undone_from_the_letterbox() -> None:
    arrays = empty()
    put(arrays, 0, (4, 4), (64, 64, 40, 40), 2.0)
    geometry = Geometry((512, 256), (128, 128), (0.25, 0.25), (0.0, 32.0))
    found = head().decode(arrays, geometry)
    np.testing.assert_allclose(found.xyxy, [[176, 48, 336, 208]], atol=1e-3)
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints[0], [[176, 48]] * 6, atol=1e-3)


def test_quantised_outputs() -> None:
    outputs = [
        output("regressors", (1, 896, 16), "int8", 0.5, 10),
        output("c", (1, 896, 1), "uint8", 0.1, 128),
    ]
    arrays = [np.full((1, 896, 16), 10, np.int8), np.zeros((1, 896, 1), np.uint8)]
    arrays[0][0, 0, :4] = [90, 70, 50, 50]  # 40 30 20 20 off the first anchor
    arrays[1][0, 0] = 148
    contract = spec("blazeface", outputs={"scores": "c"})
    found = BlazeFaceHead(contract, SQUARE, outputs, HeadOptions()).decode(arrays, SAME)
    np.testing.assert_allclose(found.xyxy, [[34, 24, 54, 44]], atol=1e-4)
    np.testing.assert_allclose(found.score, [1 / (1 + np.exp(-2))], rtol=1e-5)


def test_full_range_anchors_and_named_roles() -> None:
    info = TensorInfo("input", (1, 192, 192, 3), np.dtype(np.float32))
    outputs = [output("a", (1, 2304, 16)), output("b", (1, 2304, 1))]
    contract = spec(
        "blazeface",
        labels=("face",),
        outputs={"boxes": "a", "scores": "1"},
        options={"strides": [4], "anchors_per_cell": 1},
    )
    arrays = [np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -9, np.float32)]
    arrays[0][0, 49, :4] = [0, 0, 20, 20]
    arrays[1][0, 49] = 4
    geometry = Geometry((192, 192), (192, 192), (1.0, 1.0), (0.0, 0.0))
    found = BlazeFaceHead(contract, info, outputs, HeadOptions()).decode(arrays, geometry)
    np.testing.assert_allclose(found.xyxy, [[0, 0, 16, 16]], atol=1e-4)  # centre (6, 6), clipped


@pytest.mark.parametrize(
    "fields",
    [
        {"options": {"strides": [8]}},
        {"options": {"strides": [8, 0.5]}},
        {"options": {"strides": [10**400]}},
        {"options": {"anchors_per_cell": 10**400}},
        {"options": {"anchors_per_cell": 1000}},
        {"options": {"strides": [1] * 3000}},
        {"options": {"keypoints": 10**9}},
        {"options": {"keypoints": 5}},
        {"options": {"nms": "soft"}},
        {"outputs": {"boxes": "nothing"}},
        {"labels": ("face", "hand")},
    ],
)
def test_contracts_that_do_not_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        head(**fields)
