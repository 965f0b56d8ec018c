"""How far a run over files has come. Not chosen by URI: the command line adds it where somebody looks."""

from __future__ import annotations

from collections.abc import Callable

from edgecam.sinks.base import SinkContext
from edgecam.types import Packet

Progress = Callable[[int, int | None], None]


class ProgressSink:
    """Calls ``progress(frames done, frames in all or None)`` for each packet, on the pipeline's thread."""

    name = "progress"

    def __init__(self, progress: Progress, total: Callable[[], int | None]) -> None:
        self.dropped = 0
        self.failed = ""
        self._progress = progress
        self._total = total

    def start(self, context: SinkContext) -> None:
        pass

    def push(self, packet: Packet) -> None:
        if packet.result is not None:
            self._progress(packet.frame.seq + 1, self._total())

    def close(self) -> None:
        pass
