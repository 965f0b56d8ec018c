"""Non-maximum suppression against the slow definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgecam.heads.nms import nms, weighted_nms
from edgecam.types import Array, Floats, Ints
from tests.heads.support import iou


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Floats, Floats, Ints]:
    """Boxes of whole pixels that overlap often, some empty; scores with ties."""
    n = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    corner = rng.integers(0, draw(st.sampled_from([5, 20, 60])), (n, 2))
    size = rng.integers(0, 20, (n, 2))
    xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    score = (rng.integers(0, draw(st.sampled_from([2, 10, 1000])), n) / 1000).astype(np.float32)
    return xyxy, score, rng.integers(0, 3, n).astype(np.int32)


def slow(xyxy: Floats, score: Floats, class_id: Array | None, threshold: float, limit: int) -> list[int]:
    """Take the best, strike out what overlaps it, again."""
    left = sorted(range(len(score)), key=lambda i: (-score[i], i))
    kept: list[int] = []
    while left and len(kept) < limit:
        best = left.pop(0)
        kept.append(best)
        left = [
            i
            for i in left
            if (class_id is not None and class_id[i] != class_id[best])
            or iou(xyxy[i], xyxy[best]) <= threshold
        ]
    return kept


# Thresholds that no quotient of the small areas above hits: there rounding would decide.
thresholds = st.sampled_from([0.0, 0.30001, 0.45003, 0.50003, 0.70001, 1.0])


@given(candidates(), thresholds, st.integers(1, 50), st.booleans())
def test_the_same_as_the_definition(
    boxes: tuple[Floats, Floats, Ints], threshold: float, limit: int, by_class: bool
) -> None:
    xyxy, score, class_id = boxes
    classes = class_id if by_class else None
    assert nms(xyxy, score, classes, threshold, limit).tolist() == slow(
        xyxy, score, classes, threshold, limit
    )


@given(candidates(), thresholds)
def test_weighted_results_are_means_over_the_boxes_of_one_object(
    boxes: tuple[Floats, Floats, Ints], threshold: float
) -> None:
    xyxy, score, _ = boxes
    values = np.concatenate([xyxy, xyxy[:, :2] * 2], axis=1)
    blended, best = weighted_nms(values, score, threshold, 100)
    left = sorted(range(len(score)), key=lambda i: (-score[i], i))
    wanted, wanted_best = [], []
    while left:
        first = left[0]
        group = [i for i in left if i == first or iou(xyxy[i], xyxy[first]) > threshold]
        total = float(score[group].sum())
        mean = (score[group, None] * values[group]).sum(axis=0) / total if total else values[first]
        wanted.append(mean)
        wanted_best.append(score[first])
        left = [i for i in left if i not in group]
    np.testing.assert_allclose(blended, np.reshape(wanted, (-1, 6)), rtol=1e-4, atol=1e-4)
    assert best.tolist() == wanted_best


def test_weighted_stops_at_its_limit() -> None:
    values = np.array([[0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]], np.float32)
    blended, best = weighted_nms(values, np.array([0.2, 0.9, 0.5], np.float32), 0.5, 2)
    assert blended.tolist() == [[5, 5, 6, 6], [9, 9, 10, 10]]
    np.testing.assert_allclose(best, [0.9, 0.5])
