"""Finds out how a model runs fastest on this machine: the real pipeline, one setup after another.

The next frame is decoded while the model is at work on this one, as in a run, so that the interpreter's
threads have the company that they will have. Every setup is measured in each of several rounds and compared
with the usual one of the same round: a board that gets warm, or is busy for a moment, slows both.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecam import bench, jpeg, mjpeg, tuned
from edgecam.capture import Capture
from edgecam.engines.litert import default_threads
from edgecam.model import Model
from edgecam.pipeline import Pipeline
from edgecam.sinks.base import SinkContext
from edgecam.tuned import Setup
from edgecam.types import Frame, Packet

ROUNDS = 3
WARM_UP = 0.2  # seconds of each measurement that do not count
LEAST = 3  # frames of each
ALIKE = 0.03  # setups that differ by no more are as fast as each other
_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes:
        fps: frames a second.
        ms: milliseconds from a frame's turn to its result, the median.
        cpu_ms: milliseconds of processor time a frame, all threads.
    """

    fps: float
    ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Row:
    """One setup over all rounds: medians.

    Attributes:
        gain: its rate over that of the usual setup in the same round.
    """

    setup: Setup
    fps: float
    ms: float
    cpu_ms: float
    gain: float

    def as_dict(self) -> dict[str, Any]:
        return {name: round(v, 3) if isinstance(v, float) else v for name, v in asdict(self).items()}


Load = Callable[[int], Model]
Measure = Callable[[Setup], Sample]


def usual() -> Setup:
    """What a run has without a choice."""
    return Setup(default_threads())


def tune(
    measure: Measure,
    threads: Sequence[int],
    *,
    fast: Sequence[int] = (),
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> list[Row]:
    """Measure setups: numbers of threads first, then what the best of them gains on the fast cores alone.

    Args:
        measure: one measurement of a setup.
        threads: numbers of threads to try.
        fast: the cores that are faster than the others, () where all are alike.

    Returns:
        The rows, in the order of trying; :func:`choose` says which is best.
    """
    base = usual()
    first = [Setup(number) for number in threads]
    total, done = ROUNDS * (len({base, *first}) + 2 * bool(fast)), 0

    def compare(setups: Sequence[Setup]) -> list[Row]:
        nonlocal done
        samples: dict[Setup, list[Sample]] = {setup: [] for setup in dict.fromkeys([base, *setups])}
        for _ in range(ROUNDS):
            for setup in samples:
                progress(done, total)
                samples[setup].append(measure(setup))
                done += 1
        return [_row(setup, found, samples[base]) for setup, found in samples.items()]

    rows = compare(first)
    if fast:
        rows += compare([Setup(min(choose(rows).setup.threads, len(fast)), tuple(fast))])[1:]
    progress(total, total)
    return rows


def choose(rows: Sequence[Row]) -> Row:
    """The fastest row; of those that are as fast, the one that needs the processor least."""
    best = max(row.gain for row in rows)
    return min((row for row in rows if row.gain >= best * (1 - ALIKE)), key=lambda row: row.cpu_ms)


def _row(setup: Setup, found: Sequence[Sample], base: Sequence[Sample]) -> Row:
    gains = [one.fps / other.fps for one, other in zip(found, base, strict=True)]
    fps, ms, cpu_ms = (
        statistics.median(getattr(sample, name) for sample in found) for name in ("fps", "ms", "cpu_ms")
    )
    return Row(setup, fps, ms, cpu_ms, statistics.median(gains))


def thread_counts(cores: int) -> tuple[int, ...]:
    """What to try: each number up to 8 cores, then in doubling steps."""
    return tuple(range(1, cores + 1)) if cores <= 8 else bench.thread_counts(cores)


def fast_cores(folder: Path = _CPUS, usable: Sequence[int] | None = None) -> tuple[int, ...]:
    """Of the cores that this process may use, the fastest ones, where there are slower ones too; else ()."""
    usable = sorted(os.sched_getaffinity(0)) if usable is None else usable
    speeds = {cpu: _speed(folder / f"cpu{cpu}") for cpu in usable}
    fast = tuple(cpu for cpu, speed in speeds.items() if speed == max(speeds.values()))
    return fast if len(fast) < len(speeds) and all(speeds.values()) else ()


def _speed(folder: Path) -> int:
    """What a core can do: its capacity as the kernel has it, else its highest clock; 0 where nobody says."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        try:
            return int((folder / name).read_text())
        except (OSError, ValueError):
            continue
    return 0


def measure(load: Load, pictures: Sequence[bytes], seconds: float, setup: Setup) -> Sample:
    """Run the pipeline over JPEG pictures, as fast as it goes.

    Args:
        load: makes the model for a number of threads; it is closed here.
        seconds: how long.

    Raises:
        EdgecamError: what ``load`` and the pipeline raise.
    """
    with tuned.applied(setup):
        model = load(setup.threads)
        watch = Stopwatch(seconds)
        capture = Capture(Film(pictures))
        try:
            capture.start()
            Pipeline(capture, model, [watch]).run()
        finally:
            capture.stop()
            model.engine.close()
    return watch.sample()


class Film:
    """The same pictures again and again, as from a file: each is looked at, and decoded ahead of its turn."""

    live, broken, name = False, 0, "pictures"
    total: int | None = None

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self._pictures = [(data, jpeg.size(data)) for data in pictures]
        self._seq = 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> Frame:
        data, size = self._pictures[self._seq % len(self._pictures)]
        self._seq += 1
        return Frame(self._seq - 1, jpeg=data, size=size, decode=mjpeg.decode)


class Stopwatch:
    """A sink that notes when results come and what processor time they took, and ends the run.

    Args:
        seconds: how long; longer, if too few frames have come by then.
    """

    name, dropped, failed = "stopwatch", 0, ""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = 0.0
        self._stop: Callable[[str], None] = lambda reason: None
        self._marks: list[tuple[float, float, float]] = []

    def start(self, context: SinkContext) -> None:
        self._began = time.monotonic()
        self._stop = context.stop

    def close(self) -> None: ...

    def push(self, packet: Packet) -> None:
        now, times = time.monotonic(), packet.frame.times
        if now - self._began < WARM_UP:
            self._marks.clear()
        self._marks.append((now, time.process_time(), times.decoded - times.taken))
        if now - self._began >= WARM_UP + self._seconds and len(self._marks) > LEAST:
            self._stop("enough")

    def sample(self) -> Sample:
        """What was counted, from the last result of the warm-up on."""
        (begin, cpu_begin, _), (end, cpu_end, _) = self._marks[0], self._marks[-1]
        frames = len(self._marks) - 1
        latency = statistics.median(mark[2] for mark in self._marks)
        return Sample(frames / (end - begin), latency * 1000, (cpu_end - cpu_begin) / frames * 1000)
