"""Labels that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.tracking.smoothing import Smoother
from edgecam.types import Classification


def scores(**by_letter: float) -> Classification:
    """Class 0 is ``a``."""
    rows = sorted(by_letter.items(), key=lambda item: -item[1])
    return Classification(
        np.array([s for _, s in rows], np.float32), np.array([ord(c) - ord("a") for c, _ in rows], np.int32)
    )


def first(found: Classification) -> str:
    return chr(ord("a") + int(found.class_id[0]))


def test_one_odd_frame_does_not_change_the_label() -> None:
    smoother = Smoother(1.0)
    shown = [first(smoother.update(n / 10, scores(a=0.9, b=0.1), 0.05)) for n in range(10)]
    shown.append(first(smoother.update(1.0, scores(b=0.95, a=0.02), 0.05)))
    shown += [first(smoother.update(1.1 + n / 10, scores(a=0.9, b=0.1), 0.05)) for n in range(10)]
    assert set(shown) == {"a"}


@pytest.mark.parametrize("rate", [2, 10, 60])
def test_another_label_that_holds_wins_after_the_same_time_at_any_rate(rate: int) -> None:
    smoother = Smoother(1.0)
    for n in range(5 * rate):
        smoother.update(n / rate, scores(a=0.9, b=0.1), 0.05)
    for n in range(5 * rate):
        if first(smoother.update(5 + n / rate, scores(b=0.9, a=0.1), 0.05)) == "b":
            break
    # Both averages meet after ln 2 = 0.69 s; the lead of a tenth takes a little longer.
    assert 0.6 < (n + 1) / rate <= 1.0 + 1 / rate


def test_two_equal_ones_do_not_take_turns() -> None:
    smoother, rng = Smoother(1.0), np.random.default_rng(0)
    shown = {
        first(smoother.update(n / 20, scores(a=0.5 + rng.normal(0, 0.1), b=0.5 + rng.normal(0, 0.1)), 0.05))
        for n in range(400)
    }
    assert len(shown) == 1


def test_a_label_that_is_gone_fades_and_is_forgotten() -> None:
    smoother = Smoother(0.5)
    smoother.update(0.0, scores(a=0.9), 0.05)
    assert len(smoother.update(0.25, scores(), 0.05)) == 1
    assert len(smoother.update(5.0, scores(), 0.05)) == 0 and not smoother._average


def test_zero_seconds_smooth_nothing() -> None:
    smoother = Smoother(0.0)
    smoother.update(0.0, scores(a=0.9, b=0.1), 0.05)
    found = smoother.update(0.1, scores(b=0.6, a=0.3), 0.05)
    assert first(found) == "b" and found.score.tolist() == [np.float32(0.6), np.float32(0.3)]


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1), max_size=4)),
        max_size=20,
    )
)
def test_averages_stay_between_the_scores(frames: list[tuple[float, dict[str, float]]]) -> None:
    smoother, at, lowest, highest = Smoother(1.0), 0.0, 1.0, 0.0
    for step, given_scores in frames:
        at += step
        found = smoother.update(at, scores(**given_scores), 0.05)
        highest = max([highest, *given_scores.values()])
        lowest = min([lowest, *given_scores.values()])
        assert all(0.05 <= s <= highest + 1e-6 for s in found.score.astype(float) + 1e-7)
        assert (np.diff(found.score[1:]) <= 0).all() and len(set(found.class_id.tolist())) == len(found)
