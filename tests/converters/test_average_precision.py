"""Average precision on cases worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import average_precision as ap
from converters.average_precision import Truth
from edgecam.types import Detections

Box = tuple[float, float, float, float]
A: Box = (0, 0, 10, 10)
B: Box = (20, 0, 30, 10)
FAR: Box = (100, 100, 110, 110)


def found(*rows: tuple[Box, float, int]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([c for _, _, c in rows], np.int32),
    )


def truth(*rows: tuple[Box, int]) -> Truth:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Truth(boxes, np.array([c for _, c in rows], np.int32))


def test_overlaps() -> None:
    a = np.array([A, (5, 0, 15, 10), (0, 0, 0, 0)], np.float32)
    expected = [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(ap.overlaps(a, a), expected, rtol=1e-6)
    assert ap.overlaps(a, np.zeros((0, 4))).shape == (3, 0)


def test_all_right() -> None:
    assert ap.mean([found((A, 0.9, 3), (B, 0.8, 3))], [truth((A, 3), (B, 3))]) == 1.0


def test_nothing_found() -> None:
    assert ap.mean([Detections.empty()], [truth((A, 0))]) == 0.0


def test_one_of_two_found() -> None:
    """Precision 1 up to recall 0.5: 51 of the 101 recalls."""
    assert ap.mean([found((A, 0.9, 0))], [truth((A, 0), (B, 0))]) == pytest.approx(51 / 101)


def test_a_false_alarm_counts_by_its_rank() -> None:
    """A worse false alarm costs nothing; a better one halves the precision of all."""
    assert ap.mean([found((A, 0.9, 0), (FAR, 0.5, 0))], [truth((A, 0))]) == 1.0
    assert ap.mean([found((A, 0.5, 0), (FAR, 0.9, 0))], [truth((A, 0))]) == pytest.approx(0.5)


def test_ranks_run_over_all_pictures() -> None:
    results = [found((A, 0.6, 0)), found((FAR, 0.9, 0))]
    assert ap.mean(results, [truth((A, 0)), truth((A, 0))]) == pytest.approx(0.5 * 51 / 101)


def test_precision_is_made_monotone() -> None:
    """right, wrong, right: precisions 1, 1/2, 2/3; recalls up to 0.5 get 1, the others 2/3."""
    results = [found((A, 0.9, 0), (FAR, 0.8, 0), (B, 0.7, 0))]
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert ap.mean(results, [truth((A, 0), (B, 0))]) == pytest.approx(expected)


def test_each_truth_is_found_once() -> None:
    """The second box over the same truth is a false alarm, and takes no other truth's place."""
    results = [found((A, 0.9, 0), (A, 0.8, 0), (B, 0.7, 0))]
    assert ap.match(results[0].xyxy, truth((A, 0), (B, 0)).xyxy, 0.5).tolist() == [True, False, True]
    assert ap.mean(results, [truth((A, 0), (B, 0))]) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_box_takes_the_free_truth_it_overlaps_most() -> None:
    boxes = np.array([(0, 0, 10, 10), (1, 0, 11, 10)], np.float32)
    truths = np.array([(2, 0, 12, 10), (0, 0, 10, 9)], np.float32)
    assert ap.match(boxes, truths, 0.5).tolist() == [True, True]
    assert ap.match(boxes, truths[:1], 0.5).tolist() == [True, False]


def test_classes_do_not_mix_and_are_averaged() -> None:
    results = [found((A, 0.9, 0), (B, 0.9, 2))]
    truths = [truth((A, 0), (B, 1))]
    assert ap.per_class(results, truths) == {0: 1.0, 1: 0.0}
    assert ap.mean(results, truths) == 0.5


def test_thresholds() -> None:
    """Overlap 0.8: right up to the threshold 0.8, so at 7 of COCO's 10."""
    results = [found(((0, 0, 8, 10), 0.9, 0))]
    assert ap.mean(results, [truth((A, 0))], ap.COCO_THRESHOLDS) == pytest.approx(0.7)


def test_order_of_detections_does_not_matter() -> None:
    rows: Sequence[tuple[Box, float, int]] = [(A, 0.5, 0), (FAR, 0.9, 0), (B, 0.7, 0)]
    truths = [truth((A, 0), (B, 0))]
    assert ap.mean([found(*rows)], truths) == ap.mean([found(*reversed(rows))], truths)


def test_no_truth() -> None:
    assert ap.mean([], []) == 0.0
    assert ap.mean([found((A, 0.9, 0))], [truth()]) == 0.0


def test_results_and_pictures_must_pair() -> None:
    with pytest.raises(ValueError, match="1 results for 2 pictures"):
        ap.mean([Detections.empty()], [truth(), truth()])


def slow_average(right: Sequence[bool], count: int) -> float:
    """The definition, point by point."""
    points = [(sum(right[: n + 1]) / count, sum(right[: n + 1]) / (n + 1)) for n in range(len(right))]
    wanted = np.linspace(0, 1, 101)
    return float(np.mean([max([p for r, p in points if r >= want], default=0.0) for want in wanted]))


@given(right=st.lists(st.booleans(), max_size=12), missed=st.integers(0, 5))
def test_interpolation_is_the_definition(right: list[bool], missed: int) -> None:
    count = max(sum(right) + missed, 1)
    value = ap.interpolated(np.array(right, bool), count)
    assert value == pytest.approx(slow_average(right, count))
    assert 0 <= value <= 1
