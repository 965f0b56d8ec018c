"""What every sink does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from edgecam.scene import Scene
from edgecam.types import Packet
from edgecam.values import Region


class Editing(Protocol):
    """Writes zones, lines, masks and rules into the settings: :class:`edgecam.config_edit.Editor`."""

    file: Path

    def read(self) -> dict[str, Any]: ...

    def save(self, wanted: Mapping[str, object], version: str) -> None: ...

    def apply(self) -> None: ...


class Control(Protocol):
    """The switches of a run; see :class:`edgecam.control.Controls`."""

    @property
    def paused(self) -> bool: ...

    @property
    def veiled(self) -> bool | None: ...

    @property
    def may_unveil(self) -> bool: ...

    def pause(self, on: bool, who: str) -> None: ...

    def veil(self, on: bool, who: str) -> None: ...


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
        scene: zones, lines and rules of the run.
        region: the part of the picture that the model looks at, left, top, right, bottom from 0 to 1; None
            for all of it.
        folders: where the run's sinks keep what happens.
        films: where they keep everything, in segments.
        editing: changes the settings file, None where there is no way to.
        device_id: what this device is called among others.
        control: pauses the run, and more; None where it cannot be.
    """

    live: bool
    source: str
    model: str
    labels: tuple[str, ...]
    report: Callable[[str], None]
    stop: Callable[[str], None]
    scene: Scene = field(default_factory=Scene)
    region: Region | None = None
    folders: tuple[Path, ...] = ()
    films: tuple[Path, ...] = ()
    editing: Editing | None = None
    device_id: str = "edgecam"
    control: Control | None = None


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


@runtime_checkable
class Keeper(Protocol):
    """A sink that keeps what happens, with a ``.json`` beside each file that names the events in it.

    Attributes:
        folder: where.
    """

    folder: Path


@runtime_checkable
class Recorder(Protocol):
    """A sink that keeps everything, in segments.

    Attributes:
        films: where.
    """

    films: Path
