"""Judge finished model files on pictures with known truth.

Each file is run as the device runs it (its contract, :mod:`edgecam.preprocess`, the engine, the decoder).
Several are judged together: every picture is read once, by threads, while the networks work.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from converters import macs
from converters.average_precision import Truth
from converters.codebook import compressed
from converters.judging.answers import Answers, Translation, Truths
from converters.judging.feed import ahead
from converters.judging.figures import Figures
from converters.judging.runner import Latency, Runner, latencies
from converters.reading import read
from edgecam.errors import FrameError, UsageError
from edgecam.types import Result

if TYPE_CHECKING:
    from converters.dataset import Sample

log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
_MOST_WORKERS = 8  # each holds all models in memory
_BATCH = 8  # pictures that a thread takes at once
_FOR_LATENCY = 8  # pictures to measure with, in turn


@dataclass(frozen=True, eq=False)
class Judged:
    """Everything about models that were judged together, under the names they were given.

    Attributes:
        figures: what to show.
        answers: what each said of each picture.
        truth: what the pictures show.
    """

    figures: Mapping[str, Figures]
    answers: Mapping[str, Answers]
    truth: Truths


class Part(NamedTuple):
    """What was said of some of the pictures.

    Attributes:
        places: of the pictures that could be read, among those asked about, in order.
        answers: model -> what it says of each in full, and what it reports; see
            :class:`converters.judging.answers.Answers`.
        skipped: pictures that could not be read.
        seconds: that it took.
    """

    places: tuple[int, ...]
    answers: Mapping[str, tuple[list[Any], list[Any]]]
    skipped: tuple[str, ...]
    seconds: float


Asks = Callable[[Mapping[str, Path], "Sequence[Sample]", Sequence[str], Progress | None], Part]
_ASKS: ContextVar[Asks | None] = ContextVar("asks", default=None)


def judge(
    model: Path,
    samples: Sequence[Sample],
    names: Sequence[str],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Figures:
    """One model; see :func:`judge_all`."""
    name = model.stem
    return judge_all({name: model}, samples, names, threads=threads, progress=progress).figures[name]


def judge_all(
    models: Mapping[str, Path],
    samples: Sequence[Sample],
    names: Sequence[str],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Judged:
    """Judge models side by side.

    A picture that cannot be read is left out for all of them, and named.

    Args:
        models: name -> a ``.tflite`` with a contract. All of one task.
        samples: pictures with their truth.
        names: the data's classes. A model may have more; it must know these.
        threads: CPU threads of the engine while its latency is measured, 0 for the runtime's default.
        progress: called with (pictures done, pictures in all).

    Raises:
        UsageError: no pictures; truth of another task than the models'; a class a model does not know.
        ModelError: a file or its contract is wrong.
        EngineError: a model cannot be run here.
    """
    asks = _ASKS.get() or answered
    return joined(models, asks(models, samples, names, progress), samples, names, threads=threads)


def answered(
    models: Mapping[str, Path],
    samples: Sequence[Sample],
    names: Sequence[str],
    progress: Progress | None = None,
) -> Part:
    """What models say of some pictures, on this machine; as :func:`judge_all`."""
    with ExitStack() as stack:
        runners = {name: stack.enter_context(Runner(path, 1)) for name, path in models.items()}
        _check(runners, samples)
        answers = _collections(runners, names)
        run = Pass(models, answers, stack)
        run.through(samples, progress or (lambda done, total: None))
    said = {name: (found.full, found.reported) for name, found in answers.items()}
    return Part(tuple(run.places), said, tuple(run.skipped), run.seconds)


def joined(
    models: Mapping[str, Path],
    part: Part,
    samples: Sequence[Sample],
    names: Sequence[str],
    *,
    threads: int = 0,
) -> Judged:
    """The judgement on what :func:`answered` has found; latencies are measured here. As :func:`judge_all`."""
    seen = [samples[place] for place in part.places]
    with ExitStack() as stack:
        runners = {name: stack.enter_context(Runner(path, threads)) for name, path in models.items()}
        answers = _collections(runners, names)
        for name, (full, reported) in part.answers.items():
            answers[name].full, answers[name].reported = full, reported
        truth = _truths(seen, samples)
        latency = latencies(runners, [read(sample.path) for sample in seen[:_FOR_LATENCY]])
        bare = sum(entry.invoke_ms for entry in latency.values()) / 1000
        rates = (len(seen) / part.seconds, 1 / bare)
        found = {
            name: _figures(name, runner, answers[name], truth, latency[name], rates, part.skipped)
            for name, runner in runners.items()
        }
    return Judged(found, answers, truth)


@contextmanager
def asking(how: Asks) -> Iterator[None]:
    """While inside, pictures are shown to the models by another function than :func:`answered`."""
    token = _ASKS.set(how)
    try:
        yield
    finally:
        _ASKS.reset(token)


def _collections(runners: Mapping[str, Runner], names: Sequence[str]) -> dict[str, Answers]:
    return {name: Answers(Translation(r.spec, _outputs(r), names)) for name, r in runners.items()}


class Pass:
    """All models over all pictures, once.

    Each thread reads its pictures and runs its own single-threaded copies of the models: with the same cores
    this does more a second than one network after another on all of them, and the answers are the same.
    """

    def __init__(self, models: Mapping[str, Path], answers: Mapping[str, Answers], stack: ExitStack) -> None:
        self._answers = answers
        self._workers = min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
        self._free = [
            {name: stack.enter_context(Runner(path, 1)) for name, path in models.items()}
            for _ in range(self._workers)
        ]
        self._local = threading.local()
        self.places: list[int] = []
        self.skipped: list[str] = []
        self.seconds = 0.0

    def through(self, samples: Sequence[Sample], progress: Progress) -> None:
        began = time.monotonic()
        batches = [samples[n : n + _BATCH] for n in range(0, len(samples), _BATCH)]
        done = 0
        for batch, found in zip(batches, ahead(self._answer_all, batches, self._workers), strict=True):
            for place, answers in enumerate(found, done):
                if answers:
                    self.places.append(place)
                    for name, answer in answers.items():
                        self._answers[name].add(answer)
            done += len(batch)
            progress(done, len(samples))
        self.seconds = time.monotonic() - began
        if not self.places:
            raise UsageError("not one of the pictures could be read", "name a folder of good pictures")

    def _answer_all(self, batch: Sequence[Sample]) -> list[dict[str, tuple[Result, Result]]]:
        """On another thread. Several pictures at a time: handing over each by itself costs as much as a fast
        network."""
        return [self._answer(sample) for sample in batch]

    def _answer(self, sample: Sample) -> dict[str, tuple[Result, Result]]:
        """From the file to every model's answer; empty where it cannot be read."""
        try:
            image = read(sample.path)
        except FrameError as error:
            log.warning("left out: %s", error.message)
            self.skipped.append(str(sample.path))
            return {}
        return {name: runner.run(image) for name, runner in self._own().items()}

    def _own(self) -> dict[str, Runner]:
        """This thread's models."""
        if not hasattr(self._local, "runners"):
            self._local.runners = self._free.pop()
        runners: dict[str, Runner] = self._local.runners
        return runners


def _check(runners: Mapping[str, Runner], samples: Sequence[Sample]) -> None:
    if not samples:
        raise UsageError("there are no pictures to judge by", "give more data, or a larger test split")
    boxes = samples[0].truth is not None
    for runner in runners.values():
        wanted = "detect" if boxes else "classify"
        if runner.spec.task != wanted:
            raise UsageError(
                f"{runner.path} is a model of the task {runner.spec.task}, the pictures are for {wanted}",
                "judge it on pictures with boxes" if wanted == "classify" else "judge it on a folder a class",
            )


def _outputs(runner: Runner) -> int:
    """Number of classes of a classifier's output."""
    if runner.spec.task != "classify":
        return 0
    offset = runner.spec.options.get("label_offset", 0)
    shapes = [info.shape[-1] for info in runner.engine.outputs if info.shape]
    return (shapes[0] if len(shapes) == 1 else 0) + (offset if isinstance(offset, int) else 0)


def _truths(seen: Sequence[Sample], samples: Sequence[Sample]) -> Truths:
    paths = tuple(str(sample.path) for sample in seen)
    boxes: tuple[Truth, ...] = tuple(sample.truth for sample in seen if sample.truth is not None)
    return Truths(paths, np.array([sample.class_id for sample in seen], np.int64), boxes)


def _figures(
    name: str,
    runner: Runner,
    answers: Answers,
    truth: Truths,
    latency: Latency,
    rates: tuple[float, float],
    skipped: Sequence[str],
) -> Figures:
    data = runner.path.read_bytes()
    cost = macs.count(data)
    return Figures(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        compressed=compressed(data),
        macs=cost.macs,
        parameters=cost.parameters,
        accuracy=answers.accuracy(truth),
        invoke_ms=latency.invoke_ms,
        total_ms=latency.total_ms,
        p95_ms=latency.p95_ms,
        threads=runner.engine.device,
        runtime=runner.engine.runtime,
        rate=round(rates[0], 2),
        bare_rate=round(rates[1], 2),
        skipped=tuple(sorted(skipped)),
    )
