"""YOLO heads against a slow decoder, float and quantised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.errors import ContractError
from edgecam.heads.yolo import YoloV5Head, YoloV8Head
from edgecam.types import Detections, Floats, Geometry, HeadOptions
from tests.heads.support import INPUT, SAME, iou, output, real_of, spec


def slow(
    rows: Floats, score: Floats, unit: tuple[float, float], threshold: float, overlap: float
) -> list[tuple[int, float, Floats]]:
    """Rows of cx cy w h and scores (N, C), candidate by candidate."""
    candidates = []
    for i in range(len(rows)):
        best = int(score[i].argmax())
        if score[i, best] >= np.float32(threshold):
            cx, cy, w, h = rows[i] * np.float32(unit * 2)
            candidates.append(
                (best, float(score[i, best]), np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]))
            )
    candidates.sort(key=lambda c: -c[1])
    kept: list[tuple[int, float, Floats]] = []
    for label, value, box in candidates:
        if all(label != other or iou(box, over) <= overlap for other, _, over in kept):
            kept.append((label, value, box))
    clipped = [(label, value, np.clip(box, 0, (320, 240, 320, 240))) for label, value, box in kept]
    return [(c, s, b) for c, s, b in clipped if b[2] > b[0] and b[3] > b[1]]


def assert_same(found: Detections, wanted: list[tuple[int, float, Floats]]) -> None:
    assert found.class_id.tolist() == [c for c, _, _ in wanted]
    np.testing.assert_allclose(found.score, [s for _, s, _ in wanted], rtol=1e-5)
    np.testing.assert_allclose(found.xyxy, np.reshape([b for _, _, b in wanted], (-1, 4)), atol=0.01)


cases = given(
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from(["float32", "int8", "uint8"]),
    normalized=st.booleans(),
    threshold=st.floats(0.05, 0.95),
    overlap=st.sampled_from([0.10001, 0.45003, 0.70001]),
)


def made_up(rng: Any, dtype: str, columns: int, normalized: bool) -> tuple[Any, Any]:
    """Raw rows (N, 4 + columns) and their tensor, as a model would give them."""
    n, size = 60, np.array([1, 1] if normalized else [320, 240])
    rows = np.concatenate([rng.uniform(0, 1, (n, 2)) * size, rng.uniform(0.05, 0.5, (n, 2)) * size], axis=1)
    scores = rng.uniform(0, 1, (n, columns)) ** 6
    real = np.concatenate([rows, scores], axis=1)
    # As in the published int8 files, boxes and scores share one scale.
    top = 1.3 if normalized else 330.0
    if dtype == "float32":
        return real.astype(np.float32), output("out", real.shape)
    zero_point = -110 if dtype == "int8" else 3
    info = output("out", real.shape, dtype, top / 250, zero_point)
    limits = np.iinfo(dtype)
    raw = np.clip(np.rint(real / info.scale) + zero_point, limits.min, limits.max).astype(dtype)
    return raw, info


@settings(deadline=None)
@cases
def test_v8(seed: int, dtype: str, normalized: bool, threshold: float, overlap: float) -> None:
    raw, info = made_up(np.random.default_rng(seed), dtype, 5, normalized)
    real = real_of(raw, info)
    unit = (320.0, 240.0) if normalized else (1.0, 1.0)
    wanted = slow(real[:, :4], np.clip(real[:, 4:], 0, 1), unit, threshold, overlap)
    user = HeadOptions(threshold=threshold, iou=overlap)
    for transposed, array in ((True, raw[None]), (False, np.ascontiguousarray(raw.T)[None])):
        contract = spec("yolov8", options={"normalized": normalized, "transposed": transposed})
        head = YoloV8Head(contract, INPUT, [info.with_shape(array.shape)], user)
        assert_same(head.decode([array], SAME), wanted)


@settings(deadline=None)
@cases
def test_v5(seed: int, dtype: str, normalized: bool, threshold: float, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    raw, info = made_up(rng, dtype, 6, normalized)
    hot = rng.integers(0, len(raw), 20)
    raw[hot, 4] = raw[:, 4].max()
    real = real_of(raw, info)
    unit = (320.0, 240.0) if normalized else (1.0, 1.0)
    score = np.clip(real[:, 4:5], 0, 1) * np.clip(real[:, 5:], 0, 1)
    # Of equal products the class with the greater raw score wins, which is the same class but for rounding.
    wanted = slow(real[:, :4], score, unit, threshold, overlap)
    contract = spec("yolov5", options={"normalized": normalized})
    head = YoloV5Head(
        contract, INPUT, [info.with_shape((1, *raw.shape))], HeadOptions(threshold=threshold, iou=overlap)
    )
    assert_same(head.decode([raw[None]], SAME), wanted)


def two_objects() -> Floats:
    """(1, 4 + 3, 4): a cat, a dog over it, a fainter second box of the cat, and nothing."""
    columns = [
        [0.5, 0.5, 0.2, 0.4, 0.9, 0.0, 0.1],
        [0.5, 0.5, 0.2, 0.4, 0.0, 0.8, 0.1],
        [0.51, 0.5, 0.2, 0.4, 0.6, 0.0, 0.5],
        [0.1, 0.1, 0.1, 0.1, 0.01, 0.02, 0.01],
    ]
    return np.array(columns, np.float32).T[None]


def v8(user: HeadOptions | None = None, **fields: Any) -> YoloV8Head:
    fields.setdefault("labels", ("cat", "dog", "owl"))
    return YoloV8Head(spec("yolov8", **fields), INPUT, [output("out", (1, 7, 4))], user or HeadOptions())


def test_classes_do_not_suppress_each_other() -> None:
    found = v8().decode([two_objects()], SAME)
    assert found.class_id.tolist() == [0, 1]
    np.testing.assert_allclose(found.xyxy, [[128, 72, 192, 168]] * 2, atol=1e-3)


def test_unless_the_contract_says_so() -> None:
    found = v8(options={"class_agnostic": True}).decode([two_objects()], SAME)
    assert found.class_id.tolist() == [0]


def test_what_is_kept_by_class_is_a_part_of_what_is_found_without() -> None:
    # The second cat box has owl at 0.5: asking for owls alone must not turn a cat into an owl.
    assert len(v8(HeadOptions(classes=("owl",))).decode([two_objects()], SAME)) == 0
    assert v8(HeadOptions(classes=("dog", "owl"))).decode([two_objects()], SAME).class_id.tolist() == [1]


def test_each_generation_has_its_own_overlap() -> None:
    # Two boxes of one class that share three fifths of their union.
    pair = np.array([[0.5, 0.5, 0.4, 0.4, 0.9], [0.6, 0.5, 0.4, 0.4, 0.8]], np.float32)
    eight = YoloV8Head(spec("yolov8"), INPUT, [output("out", (1, 5, 2))], HeadOptions())
    assert len(eight.decode([np.ascontiguousarray(pair.T)[None]], SAME)) == 2
    five = YoloV5Head(spec("yolov5"), INPUT, [output("out", (1, 2, 6))], HeadOptions())
    with_objectness = np.insert(pair, 4, 1.0, axis=1)[None]
    assert len(five.decode([with_objectness], SAME)) == 1


def test_top_k() -> None:
    assert len(v8(HeadOptions(top_k=1)).decode([two_objects()], SAME)) == 1


def test_the_letterbox_is_undone_and_what_lies_in_its_border_dropped() -> None:
    array = two_objects()
    array[0, :4, 1] = [0.5, 0.02, 0.2, 0.02]  # the dog lies above the picture
    geometry = Geometry((640, 360), (320, 240), (0.5, 0.5), (0.0, 30.0))
    found = v8().decode([array], geometry)
    assert found.class_id.tolist() == [0]
    np.testing.assert_allclose(found.xyxy, [[256, 84, 384, 276]], atol=1e-3)


def test_nothing_found() -> None:
    assert len(v8().decode([np.zeros((1, 7, 4), np.float32)], SAME)) == 0
    info = output("out", (1, 7, 4), "int8", 0.005, -128)
    head = YoloV8Head(spec("yolov8"), INPUT, [info], HeadOptions())
    assert len(head.decode([np.full((1, 7, 4), -128, np.int8)], SAME)) == 0


@pytest.mark.parametrize("head", [YoloV8Head, YoloV5Head])
@pytest.mark.parametrize("shape", [(1, 84, 1029), (1, 25200, 85), (1, 4, 3), (84, 1029)])
def test_shapes_that_contradict_the_labels(head: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match="shape"):
        head(spec("yolo", labels=("a", "b")), INPUT, [output("out", shape)], HeadOptions())


@pytest.mark.parametrize(("head", "shape"), [(YoloV8Head, (1, 4, 9)), (YoloV5Head, (1, 9, 5))])
def test_an_output_without_classes(head: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match="no classes"):
        head(spec("yolo"), INPUT, [output("out", shape)], HeadOptions())
