"""The sinks of a run as one: started, fed and closed together; one that fails stops nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edgecam.errors import EdgecamError
from edgecam.sinks.base import Sink, SinkContext
from edgecam.types import Packet, SinkState

log = logging.getLogger(__name__)


class Fanout:
    """Hands packets to every sink that works. Used from the main loop's thread alone.

    Args:
        sinks: not started yet.
        report: tells the user one line.
        impaired: takes a line for each sink that failed or is in trouble, by its name.

    Attributes:
        states: how they are, as of the last :meth:`look_round`.
    """

    def __init__(
        self, sinks: Sequence[Sink], report: Callable[[str], None], impaired: dict[str, str]
    ) -> None:
        self._sinks = list(sinks)
        self._started: list[Sink] = []
        self._report = report
        self._impaired = impaired
        self.states: tuple[SinkState, ...] = ()

    def start(self, context: SinkContext) -> None:
        """
        Raises:
            UsageError, SinkError: one cannot start; :meth:`close` ends those that have.
        """
        for sink in self._sinks:
            self._started.append(sink)
            sink.start(context)

    def push(self, packet: Packet) -> None:
        for sink in self._started:
            if not sink.failed:
                try:
                    sink.push(packet)
                except Exception as error:
                    self._fail(sink, error)
            if sink.failed:
                self._impaired[sink.name] = f"{sink.name} stopped: {sink.failed}"

    def look_round(self) -> None:
        """Note which sinks are in trouble for now, and which work again."""
        for sink in self._started:
            if not sink.failed:
                trouble = str(getattr(sink, "trouble", ""))
                if trouble:
                    self._impaired[sink.name] = trouble
                else:
                    self._impaired.pop(sink.name, None)
        self.states = tuple(_state(sink, sink.name in self._impaired) for sink in self._started)

    def close(self) -> list[str]:
        """Close all; one line for each that failed, now or before."""
        for sink in self._started:
            try:
                sink.close()
            except Exception as error:
                self._fail(sink, error)
        return [f"{sink.name}: {sink.failed}" for sink in self._started if sink.failed]

    def _fail(self, sink: Sink, error: Exception) -> None:
        """A sink that fails is named once and left alone; the run goes on."""
        log.debug("sink %s", sink.name, exc_info=error)
        first = not sink.failed
        sink.failed = str(error) if isinstance(error, EdgecamError) else f"{type(error).__name__}: {error}"
        if first:
            self._report(f"{sink.name} stopped: {sink.failed}")


def _state(sink: Sink, ill: bool) -> SinkState:
    return SinkState(sink.name, sink.dropped, not ill, getattr(sink, "queue", None))
