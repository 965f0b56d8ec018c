"""What every sink does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgecam.types import Packet


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know of the run it serves.

    Attributes:
        live: the source is live: a sink that cannot keep up drops (and counts); otherwise it makes the
            pipeline wait, so nothing is lost.
        source: what to show as the source.
        model: the model's name.
        labels: the model's labels.
        report: tells the user one line (``report("page: http://127.0.0.1:8080/")``).
        stop: asks the run to end (a closed window), with a reason.
    """

    live: bool
    source: str
    model: str
    labels: tuple[str, ...]
    report: Callable[[str], None]
    stop: Callable[[str], None]


class Sink(Protocol):
    """A place that packets go to. Made from a :class:`~edgecam.registry.URI`; opens nothing until ``start``.

    Attributes:
        name: what to show, without credentials.
        dropped: packets this sink could not take.
        failed: why it stopped working, or "". A failed sink is reported once and left alone; the run goes on.
    """

    name: str
    dropped: int
    failed: str

    def start(self, context: SinkContext) -> None:
        """Open files and ports, start threads.

        Raises:
            UsageError: a wrong option.
            SinkError: cannot be opened; one line that names the remedy.
        """

    def push(self, packet: Packet) -> None:
        """Take a packet. For a live source never blocks; ``packet.result is None`` marks a placard.

        Any packet may carry steps of events, a placard too. One whose ``status.state`` is ``ended`` has no
        picture of its own: it ends the events that were open.

        Only a sink that somebody looks at calls ``packet.picture()``, and never inside ``push``
        on the pipeline's thread if it has a thread of its own.
        """

    def close(self) -> None:
        """Finish files, end threads within a few seconds; safe to call twice."""
