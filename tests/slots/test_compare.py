"""How far two models agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.slots.compare import agree
from edgecam.types import Classification, Detections, Result

LABELS = ("person", "cat", "")


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    xyxy = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    score = np.array([row[4] for row in rows], np.float32)
    return Detections(xyxy, score, np.array([row[5] for row in rows], np.int32))


def share(a: Result, b: Result, other: tuple[str, ...] = LABELS) -> tuple[int, int]:
    found = agree((a, LABELS, 0.5), (b, other, 0.5))
    return sum(overlap is not None for overlap in found), len(found)


PERSON, CAT = (0, 0, 10, 10, 0.9, 0), (50, 50, 70, 90, 0.8, 1)


def test_the_same_boxes_agree_and_others_do_not() -> None:
    both = boxes(PERSON, CAT)
    assert share(both, both) == (4, 4)
    assert share(both, boxes(PERSON)) == (2, 3)
    assert share(both, boxes()) == (0, 2) and share(boxes(), boxes()) == (0, 0)
    assert share(boxes(PERSON), boxes((0, 0, 10, 10, 0.9, 1))) == (0, 2)  # another label
    assert share(boxes(PERSON), boxes((8, 8, 18, 18, 0.9, 0))) == (0, 2)  # elsewhere


def test_labels_count_by_name_and_weak_results_do_not_count() -> None:
    assert share(boxes(PERSON), boxes((0, 0, 10, 10, 0.9, 1)), ("cat", "person")) == (2, 2)
    assert share(boxes(PERSON), boxes(PERSON, (50, 50, 60, 60, 0.4, 1))) == (2, 2)


def test_the_overlap_is_told() -> None:
    found = agree((boxes(PERSON), LABELS, 0.5), (boxes((0, 0, 10, 8, 0.9, 0)), LABELS, 0.5))
    assert found == pytest.approx([0.8, 0.8])


def test_classes_agree_by_the_best_label() -> None:
    def classes(*ids: int) -> Classification:
        return Classification(np.array([0.9, 0.6][: len(ids)], np.float32), np.array(ids, np.int32))

    assert share(classes(0, 1), classes(0, 2)) == (1, 1)
    assert share(classes(0, 1), classes(1, 0)) == (0, 1)
    assert share(classes(), classes()) == (1, 1) and share(classes(0), classes()) == (0, 1)


_SIDE = st.floats(0, 100, width=32)
_ROWS = st.lists(st.tuples(_SIDE, _SIDE, st.floats(1, 50, width=32), st.integers(0, 2)), max_size=8)


def _made(rows: list[tuple[float, float, float, int]]) -> Detections:
    return boxes(*((x, y, x + side, y + side, 0.9, label) for x, y, side, label in rows))


@given(_ROWS, _ROWS)
def test_it_is_the_same_both_ways_and_itself_agrees_fully(a: list, b: list) -> None:  # type: ignore[type-arg]
    first, second = _made(a), _made(b)
    assert share(first, second)[1] - share(first, second)[0] >= abs(len(first) - len(second))
    assert share(first, second) == share(second, first)
    assert share(first, first) == (2 * len(first), 2 * len(first))
