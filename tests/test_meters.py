"""Rates follow the present and fall to 0 when nothing comes."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.meters import DurationMeter, RateMeter


@given(st.floats(0.5, 120), st.integers(30, 200))
def test_a_steady_rate_is_read_exactly(rate: float, count: int) -> None:
    meter = RateMeter(window=10.0)
    for i in range(count):
        meter.tick(i / rate)
    now = (count - 1) / rate
    assert meter.rate(now) == pytest.approx(rate, rel=1e-6)


def test_the_rate_falls_while_nothing_comes_and_ends_at_zero() -> None:
    meter = RateMeter(window=2.0)
    for i in range(31):
        meter.tick(i / 30)
    rates = [meter.rate(1.0 + gap) for gap in (0.0, 0.2, 0.5, 1.0, 1.9, 2.1)]
    assert rates[0] == pytest.approx(30)
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert rates[-1] == 0.0


class Interrupted(deque[float]):
    """A deque that another thread tries to append to while it is read."""

    def __init__(self, meter: RateMeter) -> None:
        super().__init__([1.0, 1.1, 1.2])
        self.writer = threading.Thread(target=lambda: meter.tick(1.3))

    def __getitem__(self, place: SupportsIndex) -> float:  # type: ignore[override]
        if self.writer.ident is None:
            self.writer.start()
            self.writer.join(0.2)
            assert len(self) == 3  # it waits for the reader to end
        return super().__getitem__(place)


def test_reading_while_another_thread_writes() -> None:
    meter = RateMeter()
    times = meter._times = Interrupted(meter)
    assert meter.rate(1.2) == pytest.approx(10)
    times.writer.join(5)
    assert len(times) == 4


def test_one_event_is_no_rate() -> None:
    meter = RateMeter()
    meter.tick(5.0)
    assert meter.rate(5.0) == 0.0


def test_one_hiccup_does_not_move_the_duration() -> None:
    meter = DurationMeter()
    assert meter.median() == 0.0
    for seconds in (0.01, 0.01, 5.0, 0.01):
        meter.add(seconds)
    assert meter.median() == pytest.approx(0.01)
