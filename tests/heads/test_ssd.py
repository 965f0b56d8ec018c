"""SSD heads on made-up outputs: order of outputs, garbage, anchors, box codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import ContractError
from edgecam.heads.anchors import make_anchors
from edgecam.heads.ssd import SsdAnchorsHead, SsdPostprocessHead
from edgecam.types import Array, Floats, Geometry, HeadOptions, TensorInfo
from tests.heads.support import INPUT, SAME, iou, output, real_of, spec

# With the post-process op

N = 4
BOXES = np.array(
    [[[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0.3, 0.3, 0.4, 0.4], [np.nan, 9e9, -1, 2]]], np.float32
)
CLASSES = np.array([[2, 0, 1, np.nan]], np.float32)
SCORES = np.array([[0.7, 0.9, 0.4, np.inf]], np.float32)
COUNT = np.array([3], np.float32)
SHAPES = {"boxes": (1, N, 4), "classes": (1, N), "scores": (1, N), "count": (1,)}
ARRAYS = {"boxes": BOXES, "classes": CLASSES, "scores": SCORES, "count": COUNT}


def postprocess(
    order: tuple[str, ...], user: HeadOptions | None = None, **fields: Any
) -> tuple[SsdPostprocessHead, list[Array]]:
    outputs = [output(f"out:{i}", SHAPES[role]) for i, role in enumerate(order)]
    head = SsdPostprocessHead(spec("ssd-postprocess", **fields), INPUT, outputs, user or HeadOptions())
    return head, [ARRAYS[role] for role in order]


ORDERS = {
    "TensorFlow 1": ("boxes", "classes", "scores", "count"),
    "TensorFlow 2": ("scores", "boxes", "count", "classes"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_known_orders_need_no_roles(order: tuple[str, ...]) -> None:
    head, arrays = postprocess(order)
    found = head.decode(arrays, SAME)
    assert found.class_id.tolist() == [0, 2]
    np.testing.assert_allclose(found.score, [0.9, 0.7])
    np.testing.assert_allclose(found.xyxy, [[0, 0, 320, 240], [64, 24, 192, 120]])


def test_any_other_order_needs_roles() -> None:
    order = ("count", "boxes", "scores", "classes")
    with pytest.raises(ContractError, match="boxes, classes, scores, count"):
        postprocess(order)
    head, arrays = postprocess(order, outputs={role: f"out:{i}" for i, role in enumerate(order)})
    assert head.decode(arrays, SAME).class_id.tolist() == [0, 2]


def test_roles_that_contradict_the_shapes_are_refused() -> None:
    wrong = {"boxes": "0", "classes": "1", "scores": "3", "count": "2"}
    with pytest.raises(ContractError, match="scores output 'out:3'"):
        postprocess(ORDERS["TensorFlow 1"], outputs=wrong)


@pytest.mark.parametrize("count", [0, -1, 99])
def test_a_count_out_of_range_is_held_within(count: float) -> None:
    head, arrays = postprocess(ORDERS["TensorFlow 1"])
    clean = [a.copy() for a in arrays]
    clean[0][0, 3], clean[1][0, 3], clean[2][0, 3] = (0, 0, 1, 1), 1, 0.8
    clean[3][0] = count
    assert len(head.decode(clean, SAME)) == (3 if count > 0 else 0)


def test_threshold_top_k_classes_and_offset() -> None:
    labels = ("a", "b", "c")
    order = ORDERS["TensorFlow 1"]

    def ids(user: HeadOptions, **fields: Any) -> list[int]:
        head, arrays = postprocess(order, user, **fields)
        return head.decode(arrays, SAME).class_id.tolist()

    assert ids(HeadOptions(threshold=0.3)) == [0, 2, 1]
    assert ids(HeadOptions(threshold=0.8)) == [0]
    assert ids(HeadOptions(top_k=1)) == [0]
    assert ids(HeadOptions(threshold=0.3, classes=("b", "c")), labels=labels) == [2, 1]
    assert ids(HeadOptions(threshold=0.3), options={"label_offset": -1}) == [1, 0]


def test_boxes_are_undone_from_the_letterbox() -> None:
    head, arrays = postprocess(ORDERS["TensorFlow 1"])
    geometry = Geometry((640, 320), (320, 240), (0.5, 0.5), (0.0, 40.0))
    found = head.decode(arrays, geometry)
    np.testing.assert_allclose(found.xyxy[1], [128, 0, 384, 160], atol=1e-4)


# Anchors


def test_ssd_anchors_as_published() -> None:
    anchors = make_anchors({"kind": "ssd"}, 300, 300)
    assert anchors.shape == (1917, 4) and anchors.dtype == np.float32
    # 19x19 cells of three, then 10x10, 5x5, 3x3, 2x2 and 1 of six.
    np.testing.assert_allclose(anchors[0], [0.5 / 19, 0.5 / 19, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(anchors[1], [0.5 / 19, 0.5 / 19, 0.2 / 2**0.5, 0.2 * 2**0.5], rtol=1e-6)
    np.testing.assert_allclose(anchors[3], [0.5 / 19, 1.5 / 19, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(anchors[19 * 19 * 3], [0.05, 0.05, 0.35, 0.35], rtol=1e-6)
    np.testing.assert_allclose(anchors[-1, 2:], [0.95**0.5] * 2, rtol=1e-6)


def test_efficientdet_anchors_as_published() -> None:
    anchors = make_anchors({"kind": "efficientdet", "anchor_scale": 3}, 320, 320)
    assert anchors.shape == (19206, 4)
    np.testing.assert_allclose(anchors[0] * 320, [4, 4, 24, 24], rtol=1e-6)
    np.testing.assert_allclose(anchors[1] * 320, [4, 4, 24 / 2**0.5, 24 * 2**0.5], rtol=1e-6)
    np.testing.assert_allclose(anchors[3, 2:] * 320, [24 * 2 ** (1 / 3)] * 2, rtol=1e-6)
    # The last level has three cells of 106.67 pixels, not two and a half of 128.
    np.testing.assert_allclose(anchors[-1, :2], [2.5 / 3, 2.5 / 3], rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "ssd", "strides": [0.5, 1]},
        {"kind": "ssd", "strides": [1], "aspect_ratios": [1] * 3000},
        {"kind": "ssd", "aspect_ratios": [10**400]},
        {"kind": "efficientdet", "scales": 10**9},
        {"kind": "efficientdet", "min_level": 1, "max_level": 10**9},
        {"kind": "efficientdet", "min_level": 1, "scales": 100},
        {"kind": "x" * 100_000},
    ],
)
def test_anchors_that_no_model_has_are_refused_before_they_are_made(options: dict[str, Any]) -> None:
    with pytest.raises(ContractError) as caught:
        make_anchors(options, 640, 640)
    assert len(str(caught.value)) < 300


def test_too_many_anchors_are_counted() -> None:
    with pytest.raises(ContractError, match="make 1638400 anchors") as caught:
        make_anchors(
            {
                "kind": "ssd",
                "strides": [1],
                "scales": [0.5],
                "reduce_lowest": False,
                "aspect_ratios": [1, 2, 3],
            },
            640,
            640,
        )
    assert caught.value.remedy == "correct them: 1000000 are the most"


def test_the_lowest_layer_may_have_all_shapes() -> None:
    anchors = make_anchors({"kind": "ssd", "strides": [16], "scales": [0.5], "reduce_lowest": False}, 16, 16)
    shapes = [*((0.5, ratio) for ratio in (1, 2, 1 / 2, 3, 1 / 3)), (np.sqrt(0.5), 1)]
    expected = [[0.5, 0.5, scale / np.sqrt(ratio), scale * np.sqrt(ratio)] for scale, ratio in shapes]
    np.testing.assert_allclose(anchors, expected, rtol=1e-6)


def test_anchors_of_an_oblong_input() -> None:
    anchors = make_anchors({"kind": "ssd", "strides": [16], "scales": [0.5]}, 64, 32)
    assert len(anchors) == 4 * 2 * 3
    np.testing.assert_allclose(anchors[3, :2], [0.25, 0.375])


@pytest.mark.parametrize(
    "anchors",
    [
        None,
        {},
        {"kind": "yolo"},
        {"kind": "explicit"},
        {"kind": "explicit", "boxes": [[0, 0, 1]]},
        {"kind": "ssd", "strides": [16, 0]},
        {"kind": "ssd", "strides": [16], "scales": [0.1, 0.2]},
        {"kind": "efficientdet", "min_level": 5, "max_level": 4},
        {"kind": "efficientdet", "aspect_ratios": "1"},
    ],
)
def test_anchors_that_cannot_be_made(anchors: object) -> None:
    with pytest.raises(ContractError):
        make_anchors(anchors, 300, 300)


# Raw outputs

GRID = {"kind": "ssd", "strides": [40, 80]}
ANCHORS = make_anchors(GRID, 320, 240)


def raw_head(
    scores: TensorInfo, boxes: TensorInfo | None = None, user: HeadOptions | None = None, **options: Any
) -> SsdAnchorsHead:
    contract = spec(
        "ssd-anchors",
        outputs={"boxes": "boxes", "scores": "scores"},
        options={"anchors": GRID, **options},
    )
    boxes = boxes or output("boxes", (1, len(ANCHORS), 4))
    return SsdAnchorsHead(contract, INPUT, [boxes, scores], user or HeadOptions())


def encode(xyxy: Floats, anchors: Floats, scales: tuple[float, ...]) -> Floats:
    """The box coder the other way round, written from its definition."""
    relative = xyxy / np.array([320, 240, 320, 240])
    x1, y1, x2, y2 = relative.T
    ya, xa, ha, wa = anchors.T
    codes = [
        ((y1 + y2) / 2 - ya) / ha,
        ((x1 + x2) / 2 - xa) / wa,
        np.log((y2 - y1) / ha),
        np.log((x2 - x1) / wa),
    ]
    return (np.stack(codes, axis=1) * scales).astype(np.float32)


@given(st.integers(0, 2**32), st.booleans(), st.booleans(), st.sampled_from(["none", "sigmoid", "softmax"]))
def test_what_is_encoded_comes_back(seed: int, background: bool, swapped: bool, activation: str) -> None:
    rng = np.random.default_rng(seed)
    n, classes, objects = len(ANCHORS), 3, 5
    # One object in each of five columns of the frame: no overlap, NMS has nothing to do.
    x1, y1 = np.arange(5) * 64 + rng.uniform(0, 20, 5), rng.uniform(0, 150, 5)
    truth = np.stack([x1, y1, x1 + rng.uniform(10, 40, 5), y1 + rng.uniform(10, 80, 5)], axis=1)
    chosen = rng.choice(n, objects, replace=False)
    labels = rng.integers(0, classes, objects)
    score = np.linspace(0.6, 0.95, objects)
    scales = (10.0, 10.0, 5.0, 5.0)
    boxes = rng.normal(0, 1, (n, 4)).astype(np.float32)
    boxes[chosen] = encode(truth, ANCHORS[chosen], scales)
    if swapped:
        boxes = boxes[:, [1, 0, 3, 2]]
    shares = np.full((n, classes), 1e-3)
    shares[chosen, labels] = score
    if background:
        shares = np.concatenate([1 - shares.sum(axis=1, keepdims=True), shares], axis=1)
    elif activation == "softmax":  # without a background the row must sum to one by itself
        shares[chosen] = ((1 - score) / (classes - 1))[:, None]
        shares[chosen, labels] = score
        shares[np.setdiff1d(np.arange(n), chosen)] = 1 / classes
    raw = {
        "none": shares,
        "sigmoid": np.log(shares / (1 - shares)),
        "softmax": np.log(shares) + rng.normal(0, 3, (n, 1)),
    }[activation].astype(np.float32)
    head = raw_head(
        output("scores", (1, *raw.shape)),
        background=background,
        box_order="xywh" if swapped else "yxhw",
        activation=activation,
    )
    found = head.decode([boxes[None], raw[None]], SAME)
    assert found.class_id.tolist() == labels[::-1].tolist()
    np.testing.assert_allclose(found.score, score[::-1], rtol=1e-4)
    np.testing.assert_allclose(found.xyxy, truth[::-1], atol=0.01)


@given(st.integers(0, 2**32), st.floats(0.05, 0.95), st.sampled_from([0.30001, 0.60001]))
def test_quantised_outputs_give_what_the_slow_way_gives(seed: int, threshold: float, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    n, classes = len(ANCHORS), 4
    box_info = output("boxes", (1, n, 4), "int8", 0.08, 5)
    score_info = output("scores", (1, n, classes), "uint8", 0.1, 200)
    boxes = rng.integers(-60, 60, (1, n, 4)).astype(np.int8)
    scores = rng.integers(0, 150, (1, n, classes)).astype(np.uint8)
    hot = rng.choice(n, 12, replace=False)
    scores[0, hot, rng.integers(0, classes, 12)] = rng.integers(150, 256, 12)
    head = raw_head(
        score_info,
        box_info,
        HeadOptions(threshold=threshold, iou=overlap, top_k=1000),
        activation="sigmoid",
    )
    found = head.decode([boxes, scores], SAME)

    probability = 1 / (1 + np.exp(-real_of(scores[0, :, 1:], score_info).astype(np.float64)))
    candidates = []
    for i in range(n):
        best = int(probability[i].argmax())
        if np.float32(probability[i, best]) >= np.float32(threshold):
            ty, tx, th, tw = real_of(boxes[0, i], box_info) / (10, 10, 5, 5)
            y, x, h, w = ANCHORS[i]
            y, x, h, w = y + ty * h, x + tx * w, np.exp(th) * h, np.exp(tw) * w
            box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * (320, 240, 320, 240)
            candidates.append((float(np.float32(probability[i, best])), best, box))
    candidates.sort(key=lambda c: -c[0])
    kept: list[tuple[float, int, Any]] = []
    for score, label, box in candidates:
        if all(label != other or iou(box, over) <= overlap for _, other, over in kept):
            kept.append((score, label, box))
    clipped = [np.clip(box, 0, (320, 240, 320, 240)) for _, _, box in kept]
    seen = [i for i, box in enumerate(clipped) if box[2] > box[0] and box[3] > box[1]]
    assert found.class_id.tolist() == [kept[i][1] for i in seen]
    np.testing.assert_allclose(found.score, [kept[i][0] for i in seen], rtol=1e-6)
    np.testing.assert_allclose(found.xyxy, np.reshape([clipped[i] for i in seen], (-1, 4)), atol=0.01)


def test_classes_asked_for_and_an_offset_of_labels() -> None:
    n = len(ANCHORS)
    scores = np.zeros((1, n, 4), np.float32)
    for row, column in ((3, 1), (100, 2), (200, 3)):
        scores[0, row, column] = 0.9
    contract = spec(
        "ssd-anchors",
        labels=("a", "b"),
        outputs={"boxes": "boxes", "scores": "scores"},
        options={"anchors": GRID, "label_offset": -1},
    )
    outputs = [output("boxes", (1, n, 4)), output("scores", (1, n, 4))]
    arrays = [np.zeros((1, n, 4), np.float32), scores]

    def ids(user: HeadOptions) -> list[int]:
        return sorted(SsdAnchorsHead(contract, INPUT, outputs, user).decode(arrays, SAME).class_id.tolist())

    assert ids(HeadOptions()) == [0, 1]
    assert ids(HeadOptions(classes=("b",))) == [1]


def test_efficientdet_has_its_own_defaults() -> None:
    anchors = {"kind": "efficientdet", "min_level": 5, "max_level": 6, "scales": 1}
    boxes = make_anchors(anchors, 320, 240)
    contract = spec(
        "ssd-anchors",
        labels=("a", "b"),
        outputs={"boxes": "0", "scores": "1"},
        options={"anchors": anchors},
    )
    outputs = [output("b", (1, len(boxes), 4)), output("s", (1, len(boxes), 2))]
    head = SsdAnchorsHead(contract, INPUT, outputs, HeadOptions())
    truth = np.array([[100.0, 50.0, 180.0, 130.0]])
    codes = np.zeros((1, len(boxes), 4), np.float32)
    codes[0, 7] = encode(truth, boxes[7:8], (1, 1, 1, 1))[0]
    scores = np.zeros((1, len(boxes), 2), np.float32)
    scores[0, 7, 0] = 0.8
    found = head.decode([codes, scores], SAME)
    assert found.class_id.tolist() == [0]
    np.testing.assert_allclose(found.xyxy, truth, atol=1e-3)


def test_logits_taken_for_probabilities_are_refused() -> None:
    n = len(ANCHORS)
    with pytest.raises(ContractError, match="not probabilities"):
        raw_head(output("scores", (1, n, 3), "int8", 0.1, 0))
    head = raw_head(output("scores", (1, n, 3)))
    with pytest.raises(ContractError, match="not probabilities"):
        head.decode([np.zeros((1, n, 4), np.float32), np.full((1, n, 3), -4, np.float32)], SAME)


def test_anchors_that_do_not_fit_the_outputs() -> None:
    with pytest.raises(ContractError, match=f"makes {len(ANCHORS)} anchors"):
        raw_head(output("scores", (1, 10, 3)), output("boxes", (1, 10, 4)))


@pytest.mark.parametrize(
    "option", [{"box_scales": [1, 2]}, {"box_scales": [1, 1, 1, 0]}, {"box_order": "zyx"}]
)
def test_bad_options(option: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=next(iter(option))):
        raw_head(output("scores", (1, len(ANCHORS), 3)), **option)
