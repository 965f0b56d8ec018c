"""Rates follow the present and fall to 0 when nothing comes."""

from __future__ import annotations

import itertools
import sys
import threading

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


def test_reading_while_another_thread_writes() -> None:
    meter, stop = RateMeter(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            meter.tick()

    writer = threading.Thread(target=write)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writer.start()
        for _ in range(2000):
            meter.rate()
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        writer.join(10)


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
