"""A model ready to run: the three stages of recognition as one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgecam.contract import ModelSpec
from edgecam.engines.base import Engine
from edgecam.heads.base import Head
from edgecam.preprocess import Preprocessor
from edgecam.tuned import Choice, Setup
from edgecam.types import Frame, Result


@dataclass(frozen=True)
class Model:
    """A model ready to run: what `preprocess -> infer -> decode` needs.

    Attributes:
        sha256: of its file, in hexadecimal.
        choice: how it is run, where ``edgecam bench --tune`` has found that out.
        notes: lines worth telling the user.
    """

    spec: ModelSpec
    preprocessor: Preprocessor
    engine: Engine
    head: Head
    sha256: str = ""
    choice: Choice | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.spec.labels

    @property
    def setup(self) -> Setup | None:
        """How it is run, where that was chosen by measurement."""
        return None if self.choice is None else self.choice.setup

    def run(self, frame: Frame) -> Result:
        """Recognise one frame and note the times of each step in it.

        Raises:
            FrameError: the frame's JPEG is broken.
            EngineError: the interpreter failed.
        """
        times = frame.times
        tensor, geometry = self.preprocessor(frame)
        times.preprocessed = time.monotonic()
        arrays = self.engine.infer(tensor)
        times.inferred = time.monotonic()
        result = self.head.decode(arrays, geometry)
        times.decoded = time.monotonic()
        return result
