"""Pictures for training: decoded once, laid into the input by the device's own code, in batches that the
seed and the epoch's number alone decide.

Decoded pictures stay in memory as uint8 if they fit the plan's ``cache_mb``; otherwise each batch is decoded
anew by a few threads, ahead of its use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from converters.training.ahead import ahead
from converters.training.plan import Plan
from edgecam.contract import ModelSpec
from edgecam.errors import FrameError, UsageError
from edgecam.types import Array, Floats, Geometry, TensorInfo

if TYPE_CHECKING:
    from converters.dataset import Dataset, Sample
    from converters.steps.base import Report

_MB = 1 << 20


class Batch(NamedTuple):
    """What a step of training takes.

    Attributes:
        x: pictures, uint8 (N, H, W, C).
        y: float32 (N, classes), one of them 1.
        weight: float32 (N,).
    """

    x: Array
    y: Floats
    weight: Floats


class Feed(Protocol):
    """What :func:`converters.training.fit.fit` learns from."""

    @property
    def steps(self) -> int:
        """Batches an epoch."""

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of an epoch: (x, y) or (x, y, weight), arrays of the same shapes in each."""


class Pictures:
    """The pictures of a part, laid into the input.

    Args:
        samples: which.
        shape: (height, width, channels) of the input.
        resize: how a picture is laid into it.
        threads: that decode.
        cache: hold them in memory.
        progress: called with (decoded, in all) while the memory is filled.

    Raises:
        FrameError: one cannot be read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        shape: tuple[int, int, int],
        resize: Any,
        threads: int,
        *,
        cache: bool,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self.shape = shape
        self.classes = np.array([sample.class_id for sample in samples], np.int64)
        self._paths = [sample.path for sample in samples]
        color: Any = "gray" if shape[2] == 1 else "rgb"
        self._spec = ModelSpec("", "classify", "classify", color=color, resize=resize)
        self._info = TensorInfo("image", (1, *shape), np.dtype(np.uint8))
        self._threads = threads
        self._own = local()
        self._laid: dict[int, Geometry] = {}
        self._cached: Array | None = None
        if cache:
            self._cached = self._decode_all(progress)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def cached(self) -> bool:
        return self._cached is not None

    def geometry(self, index: int) -> Geometry:
        """How a picture was laid into the input."""
        if index not in self._laid:
            self._decode(index)
        return self._laid[index]

    def take(self, indices: Array) -> Array:
        """Those pictures, uint8 (N, H, W, C)."""
        if self._cached is not None:
            return self._cached[indices]
        return np.stack([self._decode(int(index)) for index in indices])

    def _decode(self, index: int) -> Array:
        from converters.reading import read
        from edgecam.preprocess import Preprocessor

        if not hasattr(self._own, "preprocess"):
            self._own.preprocess = Preprocessor(self._spec, self._info)
        tensor, self._laid[index] = self._own.preprocess.from_image(read(self._paths[index]))
        return np.array(tensor[0])

    def _decode_all(self, progress: Callable[[int, int | None], None] | None) -> Array:
        out = np.empty((len(self), *self.shape), np.uint8)

        def place(index: int) -> None:
            out[index] = self._decode(index)

        with ThreadPoolExecutor(self._threads, "decode") as pool:
            for number, _ in enumerate(pool.map(place, range(len(self))), 1):
                if progress is not None:
                    progress(number, len(self))
        return out


class TrainFeed:
    """Training batches. A rest that does not fill a batch is left out; the next epoch's is another.

    Args:
        pictures: to learn from.
        plan: gives batch, balance, flip and seed.
        classes: outputs.
        threads: that decode, where pictures are not in memory.

    Attributes:
        batch: pictures in each batch.
    """

    def __init__(self, pictures: Pictures, plan: Plan, classes: int, threads: int = 2) -> None:
        self.pictures = pictures
        self.classes = classes
        self._plan = plan
        self.batch = min(plan.batch, len(pictures))
        self._threads = 1 if pictures.cached else threads
        counts = np.bincount(pictures.classes, minlength=classes)
        self._weights = np.ones(classes, np.float32)
        if plan.balance == "weights":
            shown = counts > 0
            self._weights[shown] = len(pictures) / (shown.sum() * counts[shown])

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self.pictures) // self.batch

    def order(self, number: int) -> Array:
        """Indices of the pictures of an epoch, in order."""
        rng = np.random.default_rng([self._plan.seed, number, 1])
        if self._plan.balance != "sample":
            return rng.permutation(len(self.pictures))
        rows = [np.flatnonzero(self.pictures.classes == c) for c in range(self.classes)]
        rows = [row for row in rows if len(row)]
        share = -(-len(self.pictures) // len(rows))
        drawn = [np.concatenate([rng.permutation(row) for _ in range(-(-share // len(row)))]) for row in rows]
        return rng.permutation(np.concatenate([row[:share] for row in drawn]))[: len(self.pictures)]

    def mirrored(self, number: int) -> Array:
        """bool (N,): whether each picture is mirrored in an epoch."""
        if not self._plan.flip:
            return np.zeros(len(self.pictures), bool)
        first = np.random.default_rng([self._plan.seed, 2]).random(len(self.pictures)) < 0.5
        return first ^ bool(number % 2)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch, prepared ahead in threads."""
        order, mirrored = self.order(number), self.mirrored(number)

        def make(step: int) -> Batch:
            indices = order[step * self.batch : (step + 1) * self.batch]
            x = self.pictures.take(indices)
            flipped = mirrored[indices]
            x[flipped] = x[flipped, :, ::-1]
            truth = self.pictures.classes[indices]
            return Batch(x, np.eye(self.classes, dtype=np.float32)[truth], self._weights[truth])

        yield from ahead(make, self.steps, self._threads)


class JudgeFeed:
    """Every picture once, in order.

    Args:
        pictures: to judge by.
        batch: pictures at a time; the last batch may be smaller.
        threads: that decode.
    """

    def __init__(self, pictures: Pictures, batch: int = 250, threads: int = 2) -> None:
        self.pictures = pictures
        self._batch = batch
        self._threads = 1 if pictures.cached else threads

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Pictures, uint8 (N, H, W, C), and their class ids, int64 (N,)."""

        def make(step: int) -> tuple[Array, Array]:
            indices = np.arange(step * self._batch, min((step + 1) * self._batch, len(self.pictures)))
            return self.pictures.take(indices), self.pictures.classes[indices]

        yield from ahead(make, -(-len(self.pictures) // self._batch), self._threads)


class Feeds(NamedTuple):
    """
    Attributes:
        train: to learn from.
        validation: to choose by; None where there are no such pictures.
        names: of the classes.
    """

    train: TrainFeed
    validation: JudgeFeed | None
    names: tuple[str, ...]


def open_feeds(
    data: Dataset, shape: tuple[int, int, int], plan: Plan, report: Report, resize: str = "stretch"
) -> Feeds:
    """The pictures of a data set, ready for training.

    Args:
        data: of the task ``classify``.
        shape: (height, width, channels) of the model's input.
        plan: how to train.
        report: hears of the decoding.
        resize: how a picture is laid into the input.

    Raises:
        UsageError: fewer pictures than one batch of two, or boxes.
        FrameError: a picture cannot be read any more.
    """
    if data.task != "classify":
        raise UsageError("these pictures have boxes", "name data with a class for each picture")
    if len(data.train) < 2:
        raise UsageError(f"{len(data.train)} pictures to learn from", "add pictures")
    threads = plan.threads or os.cpu_count() or 1
    train, validation = decoded(data, shape, plan, report, resize, threads)
    judged = JudgeFeed(validation, threads=threads) if len(validation) else None
    return Feeds(TrainFeed(train, plan, len(data.names), threads), judged, data.names)


def decoded(
    data: Dataset, shape: tuple[int, int, int], plan: Plan, report: Report, resize: str, threads: int
) -> tuple[Pictures, Pictures]:
    """Training and validation pictures, in memory if they fit."""
    size = (len(data.train) + len(data.validation)) * int(np.prod(shape)) / _MB
    cache = size <= plan.cache_mb
    if not cache:
        report.line(
            f"pictures: {size:.0f} MB decoded, more than cache_mb = {plan.cache_mb}: read anew each epoch"
        )
    train, validation = (
        _pictures(part, shape, resize, threads, cache, report, what)
        for part, what in ((data.train, "training pictures"), (data.validation, "validation pictures"))
    )
    return train, validation


def _pictures(
    samples: Sequence[Sample],
    shape: tuple[int, int, int],
    resize: str,
    threads: int,
    cache: bool,
    report: Report,
    what: str,
) -> Pictures:
    try:
        with report.progress(what) as advance:
            return Pictures(samples, shape, resize, threads, cache=cache, progress=advance)
    except MemoryError:
        raise UsageError("the decoded pictures do not fit into memory", "lower cache_mb") from None
    except FrameError as error:
        raise FrameError(error.message, "the pictures have changed: run the step data again") from error
