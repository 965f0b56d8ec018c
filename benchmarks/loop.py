"""What the main loop itself costs for a frame, whatever the model does.

    python benchmarks/loop.py [--frames 20000] [--sinks 4] [--rounds 5]

A source of ready pictures, a model that does nothing, sinks that do nothing but can be asked for their
trouble. CPU time of the process, median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecam.capture import Capture
from edgecam.contract import ModelSpec
from edgecam.pipeline import Model, Pipeline
from edgecam.sinks.base import SinkContext
from edgecam.types import Classification, Frame, Geometry, Packet, Result, TensorInfo


class Pictures:
    """The same picture again and again."""

    live, name, total, broken = False, "pictures", None, 0

    def __init__(self, frames: int) -> None:
        self._frames = iter(range(frames))
        self._picture = np.zeros((4, 4, 3), np.uint8)

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        seq = next(self._frames, None)
        return None if seq is None else Frame(seq, self._picture)

    def close(self) -> None: ...


class Nothing:
    """Engine, preprocessor and head in one."""

    input = TensorInfo("in", (1, 4, 4, 3), np.dtype(np.uint8))
    outputs = (TensorInfo("out", (1, 2), np.dtype(np.float32)),)
    device, runtime, notes, trouble, threshold = "none", "none", (), "", 0.0
    result = Classification(np.array([0.9], np.float32), np.array([0], np.int32))

    def need(self, frame: tuple[int, int]) -> tuple[int, int]:
        return 4, 4

    def __call__(self, frame: Frame) -> tuple[Any, Geometry]:
        return frame, Geometry(frame.size, (4, 4), (1, 1), (0, 0))

    def infer(self, tensor: Any) -> Sequence[Any]:
        return ()

    def decode(self, arrays: Sequence[Any], geometry: Geometry) -> Result:
        return self.result

    def close(self) -> None: ...


class Sink:
    name, dropped, failed = "sink", 0, ""

    @property
    def trouble(self) -> str:
        return ""

    def start(self, context: SinkContext) -> None: ...

    def push(self, packet: Packet) -> None: ...

    def close(self) -> None: ...


def once(frames: int, sinks: int) -> float:
    """Microseconds of CPU for a frame."""
    nothing: Any = Nothing()
    capture = Capture(Pictures(frames))
    pipeline = Pipeline(
        capture,
        Model(ModelSpec("none", "classify", "classify", labels=("a",)), nothing, nothing, nothing),
        [Sink() for _ in range(sinks)],
    )
    began = time.process_time()
    capture.start()
    report = pipeline.run()
    assert report.frames == frames
    return (time.process_time() - began) / frames * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--sinks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = sorted(once(options.frames, options.sinks) for _ in range(options.rounds))
    print(
        f"{statistics.median(found):.1f} µs of CPU a frame, {found[0]:.1f} to {found[-1]:.1f}, "
        f"{options.sinks} sinks, both threads"
    )


if __name__ == "__main__":
    main()
