"""Each figure against its definition, written out slowly."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from converters import metrics

# Few different values, so that ties are common.
SCORES = some.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(2, 6)),
    elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)


def truths(data: st.DataObject, scores: np.ndarray) -> list[int]:
    rows, classes = scores.shape
    return data.draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))


@given(scores=SCORES, data=st.data())
def test_rank_and_top_k(scores: np.ndarray, data: st.DataObject) -> None:
    truth = truths(data, scores)
    slow = [
        sorted(range(len(row)), key=lambda c: (-row[c], c)).index(right)
        for row, right in zip(scores.tolist(), truth, strict=True)
    ]
    assert metrics.ranks(scores, np.array(truth)).tolist() == slow
    for k in (1, 2, scores.shape[1]):
        wanted = sum(rank < k for rank in slow) / len(slow)
        assert metrics.top(scores, np.array(truth), k) == pytest.approx(wanted)
    assert metrics.top(scores, np.array(truth), scores.shape[1]) == 1.0


def test_a_model_that_cannot_decide_says_the_first() -> None:
    assert metrics.ranks(np.full((4, 3), 0.5, np.float32), np.array([0, 1, 2, 0])).tolist() == [0, 1, 2, 0]


@given(
    classes=st.integers(1, 5),
    data=st.data(),
)
def test_confusion_recall_precision(classes: int, data: st.DataObject) -> None:
    ids = st.integers(0, classes - 1)
    pairs = data.draw(st.lists(st.tuples(ids, ids), max_size=20))
    truth, said = np.array([p[0] for p in pairs], int), np.array([p[1] for p in pairs], int)
    matrix = metrics.confusion(truth, said, classes)
    for a, b in product(range(classes), repeat=2):
        assert matrix[a, b] == pairs.count((a, b))
    for c in range(classes):
        shown, named = sum(p[0] == c for p in pairs), sum(p[1] == c for p in pairs)
        both = pairs.count((c, c))
        for value, of in ((metrics.recall(matrix)[c], shown), (metrics.precision(matrix)[c], named)):
            assert value == both / of if of else math.isnan(value)


CONFIDENCES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def slow_calibration(pairs: list[tuple[float, bool]], bins: int) -> float:
    """Sum over bins of the fraction of pictures times the distance of accuracy and mean confidence."""
    total = 0.0
    for n in range(bins):
        inside = [(c, r) for c, r in pairs if (n < math.ceil(c * bins) <= n + 1) or (n == 0 and c == 0)]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(pairs) * abs(accuracy - confidence)
    return total


@given(pairs=CONFIDENCES, bins=st.integers(1, 15))
def test_calibration_error(pairs: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = np.array([c for c, _ in pairs]), np.array([r for _, r in pairs])
    value = metrics.calibration_error(confidence, right, bins)
    assert value == pytest.approx(slow_calibration(pairs, bins), abs=1e-9)
    rows = metrics.reliability(confidence, right, bins)
    assert sum(count for count, _, _ in rows) == len(pairs)
    again = sum(count * abs(c - a) for count, c, a in rows if count) / len(pairs)
    assert value == pytest.approx(again, abs=1e-9)


def test_a_calibrated_model_and_a_boastful_one() -> None:
    assert metrics.calibration_error(np.array([0.75] * 4), np.array([1, 1, 1, 0])) == 0.0
    assert metrics.calibration_error(np.array([1.0] * 4), np.array([0, 0, 0, 1])) == 0.75


def test_agreement_counts_common_errors_too() -> None:
    assert metrics.agreement(np.array([1, 2, 3, 3]), np.array([1, 2, 0, 3])) == 0.75


@pytest.mark.parametrize(
    "function", [lambda e: metrics.agreement(e, e), lambda e: metrics.calibration_error(e, e)]
)
def test_no_pictures_give_no_figure(function: object) -> None:
    assert callable(function)
    assert math.isnan(function(np.zeros(0)))


@given(worse=st.integers(0, 6), better=st.integers(0, 6))
def test_sign_test_by_all_outcomes(worse: int, better: int) -> None:
    """All sequences of tosses, counted: those at least as uneven as what was seen."""
    tosses = worse + better
    extreme = max(worse, better)
    heads = [bin(n).count("1") for n in range(2**tosses)]
    uneven = sum(h >= extreme or tosses - h >= extreme for h in heads)
    assert metrics.sign_test(worse, better) == pytest.approx(uneven / len(heads))


def test_sqnr() -> None:
    signal = np.array([3.0, -4.0])
    assert metrics.sqnr(signal, signal) == math.inf
    assert metrics.sqnr(signal, np.array([3.3, -3.6])) == pytest.approx(20.0)
    assert metrics.sqnr(signal, np.zeros(2)) == pytest.approx(0.0)
    assert math.isnan(metrics.sqnr(np.zeros(3), np.ones(3)))


def test_energies_of_pictures_add_up() -> None:
    a, b = np.arange(6.0), np.arange(6.0) + 0.5
    parts = [metrics.energies(a[:3], b[:3]), metrics.energies(a[3:], b[3:])]
    signal, noise = (sum(part) for part in zip(*parts, strict=True))
    assert metrics.decibels(signal, noise) == pytest.approx(metrics.sqnr(a, b))
