"""``snapshots:FOLDER``: the best picture of each event, as a JPEG.

A picture is written when an event starts, and replaced at its end if a better one came meanwhile; there is
never half a file. ``FOLDER/2026-11-25/snapshot-140500-door.jpg``; beside it a ``.json`` of that name says
which event it is and where in the picture its object is.

Options:
    boxes: draw what the overlay draws; otherwise the camera's own JPEG is kept as it is, if it gives one.
    rules: names of rules, comma separated; without it events of all rules.
    age, size, free: what is deleted, see ``docs/recording.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgecam import jpeg
from edgecam.errors import FrameError
from edgecam.events import Event
from edgecam.registry import URI, parse_bool, parse_names
from edgecam.sinks.base import SinkContext
from edgecam.sinks.keeping import KeepingSink
from edgecam.sinks.movie import limit_words, spoken
from edgecam.types import Packet

_MEMORY = 16 << 20  # bytes of pictures that wait for the end of their events


@dataclass
class _Kept:
    """An event that goes on. ``better`` waits for its end, b"" for none."""

    path: Path | None
    better: bytes = b""


class SnapshotsSink(KeepingSink):
    """Keeps the best picture of each event."""

    kind = "snapshot"

    def __init__(self, uri: URI) -> None:
        super().__init__(uri, boxes=(parse_bool, False), rules=(parse_names, ()))
        self.folder, options = self._folder, self._options
        self._boxes: bool = options["boxes"]
        self._rules: tuple[str, ...] = options["rules"]
        self._events: dict[str, _Kept] = {}
        self._waiting = 0

    def _open(self, context: SinkContext) -> None:
        super()._open(context)
        context.report(f"snapshots of events to {self.folder}, {limit_words(self._limits)}")

    def _handle(self, packet: Packet) -> None:
        for event in packet.events:
            if self._rules and event.rule not in self._rules:
                continue
            if event.phase == "start":
                self._start(event, packet)
            elif event.improved and event.id in self._events:
                self._better(self._events[event.id], event, packet)
            if event.phase == "end":
                self._ended(event)

    def _start(self, event: Event, packet: Packet) -> None:
        path = self._archive.place(packet.frame.wall, spoken(event.rule), ".jpg")
        kept = self._events[event.id] = _Kept(path)
        self._write(kept, event, self._picture(packet))

    def _better(self, kept: _Kept, event: Event, packet: Packet) -> None:
        data = self._picture(packet)
        if self._waiting + len(data) - len(kept.better) > _MEMORY:
            self._write(kept, event, data)
            data = b""
        self._waiting += len(data) - len(kept.better)
        kept.better = data

    def _ended(self, event: Event) -> None:
        kept = self._events.pop(event.id, None)
        if kept is not None:
            self._waiting -= len(kept.better)
            self._write(kept, event, kept.better)

    def _write(self, kept: _Kept, event: Event, data: bytes) -> None:
        if kept.path is None:
            return
        if data:
            self._archive.write(kept.path, data)
        about = {"file": kept.path.name, "event": event.record()}
        text = json.dumps(about, ensure_ascii=False) + "\n"
        self._archive.write(kept.path.with_suffix(".json"), text.encode())

    def _picture(self, packet: Packet) -> bytes:
        """The packet's picture as a JPEG, b"" where the camera's is broken."""
        try:
            return jpeg.encode(packet.picture(), 90) if self._boxes else jpeg.of(packet.frame)
        except FrameError:
            return b""

    def _finish(self) -> None:
        if self._opened is not None:
            self._opened.close()
