"""Choosing a setup by measurement: the arithmetic with made-up figures, and the real pipeline once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import build_model, jpeg, tuning
from edgecam.config import Settings
from edgecam.model import Model
from edgecam.tuned import Setup
from edgecam.tuning import Row, Sample
from tests.helpers.boxes import noise

USUAL = Setup(2)


@pytest.fixture(autouse=True)
def two_threads_are_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "usual", lambda: USUAL)


def row(threads: int, gain: float, cpu_ms: float) -> Row:
    return Row(Setup(threads), 50 * gain, 20 / gain, cpu_ms, gain)


def test_the_fastest_wins() -> None:
    assert tuning.choose([row(1, 0.6, 10), row(2, 1.0, 11), row(4, 1.5, 30)]).setup == Setup(4)


def test_of_those_as_fast_the_one_that_needs_the_processor_least() -> None:
    assert tuning.choose([row(4, 1.02, 30), row(2, 1.0, 11), row(1, 0.9, 10)]).setup == Setup(2)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 100)), min_size=1, max_size=9))
def test_what_is_chosen_is_never_slower_by_more_than_counts_as_alike(
    figures: list[tuple[float, float]],
) -> None:
    rows = [row(n + 1, gain, cpu) for n, (gain, cpu) in enumerate(figures)]
    best = tuning.choose(rows)
    assert best.gain >= max(r.gain for r in rows) * (1 - tuning.ALIKE)
    assert all(r.cpu_ms >= best.cpu_ms for r in rows if r.gain >= best.gain)


class Board:
    """A board whose rate is known for each setup, and that slows down with each measurement."""

    def __init__(self, fast: float = 0.5) -> None:
        self.fast = fast
        self.asked: list[Setup] = []

    def __call__(self, setup: Setup) -> Sample:
        self.asked.append(setup)
        warmth = 0.99 ** len(self.asked)
        fps = 10 * setup.threads**0.5 * warmth
        if setup.cpus:
            fps *= self.fast
        return Sample(fps, 1000 / fps, 5.0)


def test_a_board_that_gets_warm_is_measured_fairly() -> None:
    board, seen = Board(), list[tuple[int, int | None]]()
    rows = tuning.tune(board, (1, 2, 3, 4), progress=lambda done, total: seen.append((done, total)))
    assert rows[0].setup == USUAL and rows[0].gain == 1
    best = tuning.choose(rows)
    assert best.setup == Setup(4)
    for found in rows:
        expected = (found.setup.threads / USUAL.threads) ** 0.5
        assert found.gain == pytest.approx(expected, rel=0.06)
    # each once a round, and the bar ends at its end
    assert all(board.asked.count(found.setup) % tuning.ROUNDS == 0 for found in rows)
    assert seen[-1] == (len(board.asked), len(board.asked))


@pytest.mark.parametrize(("gain", "chosen"), [(1.5, (4, 5)), (1.0, ()), (0.7, ())])
def test_fast_cores_are_chosen_only_where_that_helps(gain: float, chosen: tuple[int, ...]) -> None:
    rows = tuning.tune(Board(gain), (1, 2), fast=(4, 5))
    assert any(found.setup.cpus == (4, 5) for found in rows)
    best = tuning.choose(rows)
    assert best.setup.threads == 2
    if gain != 1.0:
        assert best.setup.cpus == chosen


def cores(folder: Path, name: str, *values: int) -> Path:
    for number, value in enumerate(values):
        file = folder / f"cpu{number}" / name
        file.parent.mkdir(parents=True)
        file.write_text(f"{value}\n")
    return folder


def test_cores_of_unlike_speed_are_told_apart(tmp_path: Path) -> None:
    of = tuning.fast_cores
    rk3588 = cores(tmp_path / "a", "cpu_capacity", 414, 414, 414, 414, 1024, 1024, 1024, 1024)
    assert of(rk3588, range(8)) == (4, 5, 6, 7)
    assert of(rk3588, [0, 1, 4]) == (4,)
    assert of(rk3588, [4, 5]) == ()  # alike, the slow ones are not ours
    assert of(cores(tmp_path / "b", "cpufreq/cpuinfo_max_freq", 2400000, 1800000), range(2)) == (0,)
    assert of(cores(tmp_path / "c", "cpu_capacity", 1024, 1024), range(2)) == ()
    assert of(tmp_path / "nothing", range(4)) == ()
    assert of(cores(tmp_path / "d", "cpu_capacity", 1024), range(2)) == ()  # of one nobody says


@pytest.mark.parametrize(("number", "expected"), [(1, (1,)), (4, (1, 2, 3, 4)), (16, (1, 2, 4, 8, 16))])
def test_threads_to_try(number: int, expected: tuple[int, ...]) -> None:
    assert tuning.thread_counts(number) == expected


def test_the_real_pipeline_is_measured() -> None:
    made = []

    def load(threads: int) -> Model:
        made.append(build_model.load_model(Settings(model="classify-person", threads=threads)))
        return made[-1]

    pictures = [jpeg.encode(noise(320, 240)) for _ in range(3)]
    found = tuning.measure(load, pictures, 0.2, Setup(1, (min(os.sched_getaffinity(0)),)))
    assert [model.engine.device for model in made] == ["CPU x1"]
    assert found.fps > 0 and found.ms > 0
    # One core cannot have worked for longer than the time that went by.
    assert 0 < found.cpu_ms <= 1000 / found.fps * 1.1
