"""The governor, with a clock and readings of the test's own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.governor import FLOOR, RATES, Change, Governor, Limits, Reading, Step, interval, ladder

LIMITS = Limits(temperature=80.0, latency=200.0)
STEPS = ladder((1280, 720), ["small", "tiny"])
HOT, WARM, COOL = Reading(82.0), Reading(78.0), Reading(60.0)
LATE, SOON = Reading(latency=250.0), Reading(latency=50.0)


class Bench:
    """A governor on a clock that is moved by hand; one reading a second."""

    def __init__(self, limits: Limits = LIMITS, steps: list[Step] | None = None) -> None:
        self.now = 0.0
        self.governor = Governor(limits, STEPS if steps is None else steps, lambda: self.now)
        self.changes: list[tuple[float, Change]] = []

    def hold(self, reading: Reading, seconds: float, pause: float = 1.0) -> Bench:
        end = self.now + seconds
        while self.now < end:
            change = self.governor.update(reading)
            if change is not None:
                self.changes.append((self.now, change))
            self.now += pause
        return self

    @property
    def told(self) -> list[str]:
        return [change.words for _, change in self.changes]


def test_the_order_of_steps() -> None:
    assert [step.kind for step in STEPS] == ["rate", "rate", "size", "model", "model"]
    assert [step.value for step in STEPS] == [0.5, 0.25, "640x360", "small", "tiny"]
    assert [step.value for step in ladder((1920, 1080), [])][2:] == ["960x540", "480x270"]
    assert [step.kind for step in ladder((640, 480), [])] == ["rate", "rate", "size"]
    assert [step.kind for step in ladder((640, 360), [])] == ["rate", "rate"]
    assert [step.kind for step in ladder(None, [])] == ["rate", "rate"]


def test_nothing_happens_while_all_is_well() -> None:
    for reading in (Reading(), COOL, WARM, SOON, Reading(79.9, (), 199.0)):
        bench = Bench().hold(reading, 3600)
        assert (bench.told, bench.governor.words) == ([], "")


def test_heat_takes_step_after_step_to_the_last() -> None:
    bench = Bench().hold(HOT, 100)
    assert [change.step for _, change in bench.changes] == STEPS
    times = [now for now, _ in bench.changes]
    assert times[0] == LIMITS.notice
    assert {b - a for a, b in pairwise(times)} == {LIMITS.dwell}
    assert bench.told[0] == "governor steps down to half the inference rate (80 °C reached)"
    assert (
        bench.governor.words
        == "a quarter of the inference rate, pictures of 640x360, model tiny: 80 °C reached"
    )
    assert bench.governor.in_effect("rate") == STEPS[1]


def test_a_peak_is_not_noticed() -> None:
    bench = Bench()
    for _ in range(50):
        bench.hold(HOT, LIMITS.notice).hold(WARM, 1)
    assert bench.told == []


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (HOT, "80 °C reached"),
        (LATE, "results later than 200 ms"),
        (Reading(60.0, ("under-voltage",)), "under-voltage"),
        (Reading(None, ("throttled",)), "throttled"),
        (Reading(82.0, ("throttled",), 250.0), "80 °C reached, throttled, results later than 200 ms"),
    ],
)
def test_reasons(reading: Reading, reason: str) -> None:
    bench = Bench().hold(reading, 5)
    assert bench.governor.level == 1
    assert bench.governor.reason == reason


@pytest.mark.parametrize("reading", [HOT, Reading(60.0, ("throttled",))])
def test_without_a_temperature_limit_heat_is_left_to_the_board(reading: Reading) -> None:
    assert Bench(Limits(temperature=0.0, latency=200.0)).hold(reading, 600).told == []


def test_without_a_latency_limit_lateness_is_nothing() -> None:
    assert Bench(Limits()).hold(LATE, 600).told == []


def test_steps_come_back_in_reverse_once_it_is_calm() -> None:
    bench = Bench().hold(HOT, 24)
    assert bench.governor.level == 3
    bench.changes.clear()
    bench.hold(COOL, 200)
    assert [change.step for _, change in bench.changes] == STEPS[2::-1]
    assert [change.in_effect for _, change in bench.changes] == [None, STEPS[0], None]
    times = [now for now, _ in bench.changes]
    assert {b - a for a, b in pairwise(times)} == {LIMITS.calm}
    assert bench.told[0] == "governor gives back pictures of 640x360 (well again)"
    assert bench.governor.words == ""


def test_between_the_limit_and_well_again_it_stays() -> None:
    bench = Bench().hold(HOT, 4).hold(WARM, 3600)
    assert bench.governor.level == 1
    assert len(bench.changes) == 1


def test_an_attempt_that_fails_makes_it_more_patient() -> None:
    """A board that is hot two minutes after it went to full rate, and cool at half of it."""
    bench = Bench(steps=STEPS[:1])
    for _ in range(12 * 3600):
        since = bench.now - bench.changes[-1][0] if bench.changes else 120.0
        bench.hold(HOT if bench.governor.level == 0 and since >= 120 else COOL, 1)
    attempts = [now for now, change in bench.changes if not change.down]
    gaps = [b - a for a, b in pairwise(attempts)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= LIMITS.longest
    assert len(attempts) < 35
    bench.hold(COOL, 2 * LIMITS.longest)
    assert bench.governor.level == 0
    bench.changes.clear()
    start = bench.now
    bench.hold(HOT, 4).hold(COOL, 60)
    assert [change.down for _, change in bench.changes] == [True, False]
    assert bench.changes[1][0] - start < 2 * LIMITS.calm


def test_a_step_that_is_impossible_is_forgotten() -> None:
    bench = Bench().hold(HOT, 24)
    bench.governor.drop(STEPS[2])
    assert bench.governor.level == 2
    bench.governor.drop(STEPS[4])
    assert bench.governor.level == 2
    bench.hold(HOT, 60)
    assert [step.value for step in bench.governor.taken] == [0.5, 0.25, "small"]


@pytest.mark.parametrize(
    "wrong", [{"dwell": 0.0}, {"dwell": 40.0, "calm": 30.0}, {"longest": 10.0}, {"notice": -1.0}]
)
def test_limits_that_would_swing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="dwell"):
        Limits(**wrong)


readings = st.builds(
    Reading,
    st.none() | st.floats(0, 120),
    st.sampled_from([(), ("throttled",), ("under-voltage",)]),
    st.floats(0, 1000),
)
weather = st.lists(st.tuples(readings, st.floats(0.1, 400), st.sampled_from([0.25, 1.0, 7.0])), max_size=25)
limits = st.builds(
    Limits,
    temperature=st.sampled_from([0.0, 70.0, 80.0]),
    latency=st.sampled_from([0.0, 100.0]),
    notice=st.floats(0, 20),
    dwell=st.floats(0.5, 30),
    calm=st.floats(30, 60),
    longest=st.floats(60, 600),
)


@given(limits, weather)
def test_never_faster_than_the_dwell_and_never_out_of_bounds(
    limits: Limits, weather: list[tuple[Reading, float, float]]
) -> None:
    bench = Bench(limits)
    level = 0
    for reading, seconds, pause in weather:
        bench.hold(reading, seconds, pause)
        assert 0 <= bench.governor.level <= len(STEPS)
    for (before, _), (after, _) in pairwise(bench.changes):
        assert after - before >= limits.dwell
    for (before, first), (after, second) in pairwise(bench.changes):
        if first.down and not second.down:
            assert after - before >= limits.calm
    for _, change in bench.changes:
        # One step at a time, and always the next one.
        level += 1 if change.down else -1
        assert change.step == STEPS[level - 1 if change.down else level]


@given(limits, weather)
def test_it_always_recovers(limits: Limits, weather: list[tuple[Reading, float, float]]) -> None:
    bench = Bench(limits)
    for reading, seconds, pause in weather:
        bench.hold(reading, seconds, pause)
    bench.hold(Reading(30.0, (), 1.0), len(STEPS) * (limits.longest + 10), 5.0)
    assert bench.governor.level == 0
    assert bench.governor.words == ""


@given(limits, weather)
def test_it_always_helps_against_lasting_heat(
    limits: Limits, weather: list[tuple[Reading, float, float]]
) -> None:
    bench = Bench(limits)
    for reading, seconds, pause in weather:
        bench.hold(reading, seconds, pause)
    bench.hold(Reading(110.0, (), 900.0), limits.notice + (len(STEPS) + 1) * (limits.dwell + 1))
    acts = limits.temperature or limits.latency
    assert bench.governor.level == len(STEPS) or not acts


@given(st.floats(0, 500), st.sampled_from(RATES))
def test_the_rate_never_falls_below_the_floor(full: float, share: float) -> None:
    pause = interval(full, Step("rate", share, ""))
    assert 0 <= pause <= 1 / FLOOR
    if full > FLOOR:
        assert 1 / pause == pytest.approx(max(FLOOR, full * share))
    else:
        assert pause == 0.0
    assert interval(full, None) == 0.0
