"""How fast a model runs on this machine, stage by stage. Data out; nothing is printed here."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from edgecam.types import Frame, Result

STAGES = ("preprocess", "invoke", "decode")


class Runnable(Protocol):
    """What is measured: :class:`edgecam.pipeline.Model`."""

    def run(self, frame: Frame) -> Result:
        """Recognise one frame and note the times of each step in it."""


@dataclass(frozen=True)
class Stage:
    """One stage over all runs, in milliseconds."""

    median_ms: float
    p95_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Stage:
        return cls(round(statistics.median(seconds) * 1000, 3), round(percentile(seconds, 95) * 1000, 3))


@dataclass(frozen=True)
class Row:
    """One way to run the model.

    Attributes:
        threads: CPU threads asked for.
        device: what it ran on.
        runtime: what ran it.
        runs: frames measured, after the warm-up.
        load_ms: from the file to a model ready to run, the first run included.
        stages: ``preprocess``, ``invoke``, ``decode`` and their sum ``total``.
    """

    threads: int
    device: str
    runtime: str
    runs: int
    load_ms: float
    stages: dict[str, Stage]

    @property
    def fps(self) -> float:
        """Frames a second that the median frame allows, one after another."""
        total = self.stages["total"].median_ms
        return 1000 / total if total else math.inf

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"fps": round(self.fps, 1)}


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that ``percent`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def measure(
    model: Runnable,
    frames: Callable[[int], Frame],
    *,
    runs: int = 100,
    seconds: float = 5.0,
    warm_up: int = 5,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, list[float]]:
    """Seconds of each stage, one entry a run.

    Args:
        frames: makes the n-th frame anew, since a frame keeps its decoded pixels and its times.
        runs: at most so many.
        seconds: and no longer than this, though never fewer than 5 runs.
        warm_up: runs before that are not counted: caches fill and the processor's clock rises.
    """
    for n in range(warm_up):
        model.run(frames(n))
    samples: dict[str, list[float]] = {name: [] for name in (*STAGES, "total")}
    end = clock() + seconds
    for n in range(runs):
        if n >= 5 and clock() > end:
            break
        frame = frames(n)
        began = clock()
        model.run(frame)
        times = frame.times
        marks = (began, times.preprocessed, times.inferred, times.decoded)
        for name, start, stop in zip(STAGES, marks, marks[1:], strict=False):
            samples[name].append(stop - start)
        samples["total"].append(times.decoded - began)
    return samples


def sweep(
    load: Callable[[int], Any],
    threads: Sequence[int],
    frames: Callable[[int], Frame],
    *,
    runs: int = 100,
    seconds: float = 5.0,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> list[Row]:
    """Measure a model with each number of threads in turn.

    Args:
        load: makes the model (:class:`edgecam.pipeline.Model`) for a number of threads; it is closed here.
        threads: numbers of threads.
        progress: called with (rows done, rows in all).

    Raises:
        EdgecamError: what ``load`` raises.
    """
    rows = []
    for done, number in enumerate(threads):
        progress(done, len(threads))
        began = time.monotonic()
        model = load(number)
        engine: AbstractContextManager[Any] = closing(model.engine)
        with engine:
            model.run(frames(0))
            load_ms = round((time.monotonic() - began) * 1000, 1)
            samples = measure(model, frames, runs=runs, seconds=seconds)
            stages = {name: Stage.of(values) for name, values in samples.items()}
            rows.append(
                Row(number, model.engine.device, model.engine.runtime, len(samples["total"]), load_ms, stages)
            )
    progress(len(threads), len(threads))
    return rows


def thread_counts(cores: int) -> tuple[int, ...]:
    """What to sweep: 1, 2, 4, ... up to the cores there are, and the cores themselves."""
    doubled = [2**n for n in range(cores.bit_length()) if 2**n <= cores]
    return tuple(dict.fromkeys([*doubled, cores]))


def machine() -> dict[str, Any]:
    """What figures must be read with: processor, cores this process may use, clock governor, system."""
    return {
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": cores(),
        "governor": _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).strip(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_name() -> str:
    """The board, as its device tree calls it, else the processor."""
    board = _read(Path("/proc/device-tree/model")).strip("\0 \n")
    if board:
        return board
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
