"""A model file as the device runs it: its contract, the runtime's preprocessing, engine and decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edgecam import contract, registry
from edgecam.bench import measure
from edgecam.engines.base import Engine, EngineOptions
from edgecam.heads.base import Head
from edgecam.pipeline import Model
from edgecam.preprocess import Preprocessor
from edgecam.types import Array, Classification, Frame, Geometry, HeadOptions, Image, Result

#: Score from which a detection takes part in average precision; what lies under it cannot be told from noise.
LEAST_SCORE = 0.001


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one picture, everything else at rest.

    Attributes:
        invoke_ms: median of the network alone.
        total_ms: median of preprocessing, network and decoding.
        p95_ms: the same, 95th percentile.
    """

    invoke_ms: float
    total_ms: float
    p95_ms: float


_ROUNDS, _RUNS = 5, 10
_PATIENCE = 0.3  # seconds for one model in one round


class Runner:
    """A model ready to be judged; a context manager, which frees the interpreter.

    Args:
        path: a ``.tflite`` with a contract.
        threads: CPU threads, 0 for the runtime's default.

    Raises:
        ModelError: the file or its contract is wrong.
        EngineError: it cannot be run here.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self.spec = contract.resolve(path)
        make = registry.load(registry.ENGINES, "engine", "litert")
        self.engine: Engine = make(EngineOptions(path, threads=threads, device="cpu"))
        contract.check(self.spec, self.engine.input, self.engine.outputs)
        self._preprocess = Preprocessor(self.spec, self.engine.input)
        self.head = self.make_head(HeadOptions())
        self._every = self.make_head(self._everything())

    def ask(self, rgb: Image, head: Head) -> Result:
        """Run once; what a decoder of :meth:`make_head` makes of it."""
        tensor, geometry = self.prepare(rgb)
        return head.decode(self.engine.infer(tensor), geometry)

    def make_head(self, options: HeadOptions) -> Head:
        """A decoder of this model's outputs that is asked for something else."""
        make = registry.load(registry.HEADS, "decoder", self.spec.decoder)
        head: Head = make(self.spec, self.engine.input, self.engine.outputs, options)
        return head

    def _everything(self) -> HeadOptions:
        if self.spec.task == "classify":
            widest = max(info.shape[-1] for info in self.engine.outputs if info.shape)
            return HeadOptions(threshold=0.0, top_k=widest)
        return HeadOptions(threshold=LEAST_SCORE)

    def run(self, rgb: Image) -> tuple[Result, Result]:
        """Everything the model says, and what is reported at the model's own threshold.

        A classifier's two answers are one: its best class is reported whatever its score.
        """
        tensor, geometry = self.prepare(rgb)
        return self.decode(self.engine.infer(tensor), geometry)

    def prepare(self, rgb: Image) -> tuple[Array, Geometry]:
        """The model's input; see :meth:`edgecam.preprocess.Preprocessor.from_image`."""
        return self._preprocess.from_image(rgb)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> tuple[Result, Result]:
        """:meth:`run`'s answers, from the engine's outputs."""
        full = self._every.decode(arrays, geometry)
        return full, full if isinstance(full, Classification) else self.head.decode(arrays, geometry)

    def spans(self, images: Sequence[Image], runs: int) -> dict[str, list[float]]:
        """Seconds of each stage, one entry a run; see :func:`edgecam.bench.measure`."""
        model = Model(self.spec, self._preprocess, self.engine, self.head)
        return measure(
            model, lambda n: Frame(n, images[n % len(images)]), runs=runs, seconds=_PATIENCE, warm_up=2
        )

    def close(self) -> None:
        """Free the interpreter."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def latencies(runners: Mapping[str, Runner], images: Sequence[Image]) -> dict[str, Latency]:
    """Measure each model alone on a few pictures.

    They take turns in several rounds, so that a machine that gets busy in between slows all of them.
    """
    seconds: dict[str, dict[str, list[float]]] = {name: {"invoke": [], "total": []} for name in runners}
    for _ in range(_ROUNDS):
        for name, runner in runners.items():
            spans = runner.spans(images, _RUNS)
            for stage, values in seconds[name].items():
                values += spans[stage]
    return {
        name: Latency(
            invoke_ms=_milliseconds(stages["invoke"], 50),
            total_ms=_milliseconds(stages["total"], 50),
            p95_ms=_milliseconds(stages["total"], 95),
        )
        for name, stages in seconds.items()
    }


def _milliseconds(seconds: Sequence[float], percentile: float) -> float:
    return round(1000 * float(np.percentile(seconds, percentile)), 3)
