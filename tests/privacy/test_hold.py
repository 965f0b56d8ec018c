"""A face stays covered while the detector blinks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.privacy.hold import GROWTH, Held
from edgecam.types import Floats

NONE: Floats = np.zeros((0, 4), np.float32)


def box(x: float, size: float = 10) -> Floats:
    return np.array([[x, 0, x + size, size]], np.float32)


def test_a_box_outlives_its_detection_and_grows() -> None:
    held = Held(1.0)
    held.update(5.0, box(100))
    by = 10 * GROWTH * 0.4
    assert held.update(5.4, NONE) == pytest.approx(np.array([[100 - by, -by, 110 + by, 10 + by]]), abs=1e-3)
    assert len(held.update(5.99, NONE)) == 1
    assert len(held.update(6.01, NONE)) == 0


def test_a_new_box_takes_the_place_of_one_held_box_only() -> None:
    held = Held(1.0)
    held.update(0.0, np.concatenate([box(0), box(4)]))  # two faces side by side
    found = held.update(0.1, box(1))
    assert len(found) == 2 and found[0].tolist() == box(1)[0].tolist()  # the other one only blinked


def test_a_face_that_moves_leaves_no_trail() -> None:
    held = Held(1.0)
    for i in range(30):
        assert len(held.update(i / 30, box(i * 3))) == 1


def test_zero_seconds_hold_nothing() -> None:
    held = Held(0.0)
    held.update(0.0, box(0))
    assert len(held.update(0.01, NONE)) == 0


def test_a_late_question_changes_nothing_and_a_film_that_begins_again_starts_afresh() -> None:
    held = Held(1.0)
    held.update(10.0, box(0))
    assert len(held.update(9.8, NONE)) == 1  # asked late of an earlier frame: still covered
    assert len(held.update(10.1, NONE)) == 1
    assert len(held.update(0.0, NONE)) == 0
    assert len(held.update(0.2, box(50))) == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 0.6), st.lists(st.integers(0, 300), max_size=3, unique=True)), max_size=25
    )
)
def test_whatever_was_seen_within_the_time_is_covered_or_stood_for(
    steps: list[tuple[float, list[int]]],
) -> None:
    """And never more boxes than were seen in that time."""
    held, moment, seen = Held(1.0), 0.0, []
    for passed, places in steps:
        moment += passed
        boxes = np.concatenate([NONE, *(box(x) for x in places)])
        covered = held.update(moment, boxes)
        seen.append((moment, len(places)))
        recent = sum(count for at, count in seen if moment - at <= 1.0 + 1e-6)
        assert len(places) <= len(covered) <= recent
        assert np.array_equal(covered[: len(places)], boxes)
