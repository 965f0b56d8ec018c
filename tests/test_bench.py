"""The arithmetic of measuring; what it measures is tried through ``edgecam bench``."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import bench
from edgecam.errors import EngineError
from edgecam.types import Classification, Frame

PIXELS = np.zeros((4, 4, 3), np.uint8)


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Takes 1 ms to preprocess, 10 ms to invoke and 2 ms to decode, by its clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs = 0
        self.closed = False
        self.engine = SimpleNamespace(device="CPU x1", runtime="none 1.0", close=self.close)

    def run(self, frame: Frame) -> Classification:
        self.runs += 1
        for name, took in (("preprocessed", 0.001), ("inferred", 0.010), ("decoded", 0.002)):
            self.clock.now += took
            setattr(frame.times, name, self.clock.now)
        return Classification(np.zeros(0, np.float32), np.zeros(0, np.int32))

    def close(self) -> None:
        self.closed = True


def frames(n: int) -> Frame:
    return Frame(n, PIXELS)


def test_stages_are_told_apart() -> None:
    clock = Clock()
    model = Model(clock)
    samples = bench.measure(model, frames, runs=20, warm_up=3, clock=clock)
    assert model.runs == 23
    for name, seconds in (("preprocess", 0.001), ("invoke", 0.010), ("decode", 0.002), ("total", 0.013)):
        assert samples[name] == pytest.approx([seconds] * 20)


def test_time_bounds_the_runs_but_never_below_five() -> None:
    clock = Clock()
    assert len(bench.measure(Model(clock), frames, runs=100, seconds=0.135, clock=clock)["total"]) == 11
    assert len(bench.measure(Model(clock), frames, runs=100, seconds=0.0, clock=clock)["total"]) == 5


def test_a_sweep_closes_each_model_and_reports_progress() -> None:
    clock = Clock()
    made: list[Model] = []
    seen: list[tuple[int, int | None]] = []

    def load(threads: int) -> Model:
        made.append(Model(clock))
        return made[-1]

    rows = bench.sweep(load, (1, 2), frames, runs=5, progress=lambda done, total: seen.append((done, total)))
    assert [row.threads for row in rows] == [1, 2]
    assert all(model.closed for model in made)
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert rows[0].stages["invoke"] == bench.Stage(10.0, 10.0)
    assert rows[0].as_dict()["runs"] == 5


def test_a_model_that_fails_is_closed_all_the_same() -> None:
    model = Model(Clock())

    def fail(frame: Frame) -> Classification:
        raise EngineError("out of memory")

    model.run = fail  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        bench.sweep(lambda threads: model, (1,), frames)
    assert model.closed


@given(st.lists(st.floats(0, 1e3), min_size=1), st.integers(1, 100))
def test_percentile_is_the_nearest_rank(values: list[float], percent: int) -> None:
    found = bench.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_figures_of_a_stage() -> None:
    seconds = [0.001 * n for n in range(1, 101)]
    stage = bench.Stage.of(seconds)
    assert stage == bench.Stage(median_ms=round(statistics.median(seconds) * 1000, 3), p95_ms=95.0)
    row = bench.Row(1, "CPU", "x", 100, 1.0, {"total": bench.Stage(20.0, 30.0)})
    assert row.fps == 50.0


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (6, (1, 2, 4, 6)), (16, (1, 2, 4, 8, 16))],
)
def test_threads_to_try(cores: int, expected: tuple[int, ...]) -> None:
    assert bench.thread_counts(cores) == expected


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bench, "_read", lambda path: "")
    yield


def test_the_machine_is_named() -> None:
    found = bench.machine()
    assert found["cores"] >= 1
    assert found["cpu"]


@pytest.mark.usefixtures("no_files")
def test_a_machine_that_tells_nothing_is_no_error() -> None:
    assert bench.machine()["governor"] == ""
