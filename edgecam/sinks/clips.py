"""``clips:FOLDER?pre=5s&post=5s``: a film of each event, from some seconds before it to some after.

The last seconds are kept in memory as coded pictures (the camera's own JPEG where it gives some), within a
bound of bytes, so a film can begin before its event did and nothing is coded twice. Events that overlap, or
follow one another within ``post``, share a film.

``FOLDER/2026-11-25/clip-140500-door.mp4`` is named by its first picture and the rule of its first event;
beside it ``clip-140500-door.json`` says which events are in it.

Options:
    pre, post: seconds before and after.
    most: longest film; a longer event goes on in the next one, without a gap.
    memory: bytes of pictures that are kept for ``pre``; where that is too little ``pre`` becomes shorter.
    rules: names of rules, comma separated; without it events of all rules.
    codec, boxes, fps, age, size, free: as of ``record:FOLDER``, see ``docs/recording.md``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from edgecam.events import Event
from edgecam.quantities import parse_bytes, parse_duration, show_bytes
from edgecam.registry import URI, parse_names
from edgecam.sinks.base import SinkContext
from edgecam.sinks.coding import Unit, coder_options, make_coder
from edgecam.sinks.keeping import KeepingSink
from edgecam.sinks.movie import Movie, limit_words, spoken
from edgecam.sinks.ring import Ring
from edgecam.types import Packet

_MOST_EVENTS = 1000  # named beside one film
_LATE = 5.0  # seconds of pictures, and on the clock, for which an encoder's last pictures are waited for
_SLACK = 2.0  # seconds that the ring holds more than asked, for an encoder that comes late


class ClipsSink(KeepingSink):
    """Keeps a film of each event."""

    kind = "clip"

    def __init__(self, uri: URI) -> None:
        super().__init__(
            uri,
            pre=(parse_duration, 5.0),
            post=(parse_duration, 5.0),
            most=(parse_duration, 600.0),
            memory=(parse_bytes, 32 << 20),
            rules=(parse_names, ()),
            **coder_options(),
        )
        self.folder, options = self._folder, self._options
        self._pre: float = options["pre"]
        self._post: float = options["post"]
        self._most: float = max(1.0, options["most"])
        self._memory: int = options["memory"]
        self._rules: tuple[str, ...] = options["rules"]
        self._coder = make_coder(options)
        self._ring = Ring(self._pre + _SLACK, self._memory)
        self._movie: Movie | None = None
        self._open_events: set[str] = set()
        self._told: dict[str, Event] = {}  # last step of each event in the film
        self._wanted: tuple[float, str] | None = None  # a film is to begin then, of that name
        self._until = 0.0  # the film goes on until then
        self._now = self._pushed = self._coded = 0.0  # newest moment, of a picture, of a coded picture
        self._behind_since = 0.0  # monotonic seconds: since when a film that is over waits for the encoder
        self._said_short = False

    def _open(self, context: SinkContext) -> None:
        self._coder.open()
        super()._open(context)
        context.report(
            f"clips of events to {self.folder}, from {self._pre:g} s before to {self._post:g} s after "
            f"({self._coder.words}), {limit_words(self._limits)}"
        )

    def _handle(self, packet: Packet) -> None:
        picture = packet.result is not None
        moment = packet.frame.moment
        if picture or packet.status.state != "ended":
            self._now = moment
        for event in packet.events:
            if not self._rules or event.rule in self._rules:
                self._note(event)
        if picture:
            self._coder.push(packet, moment)
            self._pushed = moment
        self._keep(self._coder.take())
        self._end_if_due()

    def _note(self, event: Event) -> None:
        """An event starts, goes on or ends."""
        if len(self._told) < _MOST_EVENTS or event.id in self._told:
            self._told[event.id] = event
        if event.phase == "end":
            self._open_events.discard(event.id)
        else:
            self._open_events.add(event.id)
        self._until = self._now + self._post
        if event.phase == "start" and self._movie is None and self._wanted is None:
            self._wanted = (self._now - event.seconds - self._pre, spoken(event.rule))

    def _keep(self, units: list[Unit]) -> None:
        for unit in units:
            self._coded = unit.at
            self._ring.add(unit)
            if self._movie is not None:
                self._go_on(self._movie, unit)
            if self._wanted is not None and self._movie is None and unit.at >= self._wanted[0]:
                self._begin(*self._wanted)
            self._end_if_due()
        if self._ring.cut and not self._said_short:
            self._said_short = True
            assert self._context is not None
            self._context.report(
                f"{self.name}: {show_bytes(self._memory)} hold less than {self._pre:g} s of pictures; "
                "give memory= more, or fps= less"
            )

    def _begin(self, since: float, name: str) -> None:
        """Start the film with what the ring holds."""
        units = self._ring.since(since)
        if not units:
            return
        self._movie = self._archive.begin(units[0], name)
        if self._movie is None:
            return  # the disk takes none now; while the event lasts it is tried again
        self._wanted = None
        for unit in units[1:]:
            if self._movie is not None and not self._archive.add(self._movie, unit):
                self._movie = None

    def _go_on(self, movie: Movie, unit: Unit) -> None:
        name = spoken(next(iter(self._told.values())).rule) if self._told else ""
        if unit.track is not movie.track or unit.at < movie.last:
            self._finish_movie()
            self._wanted = (unit.at, name)
        elif movie.seconds >= self._most and unit.key:
            self._finish_movie()
            self._movie = self._archive.begin(unit, name)
        elif not self._archive.add(movie, unit):
            self._movie = None
            self._wanted = (unit.at, name)

    def _end_if_due(self) -> None:
        if self._open_events or self._now < self._until:
            return
        if self._coded < min(self._until, self._pushed):  # an encoder still holds pictures of it
            self._behind_since = self._behind_since or time.monotonic()
            late = self._now >= self._until + _LATE
            if not late or time.monotonic() < self._behind_since + _LATE:  # a file may run ahead of it
                return
        self._behind_since = 0.0
        if self._movie is not None:
            self._finish_movie()
        self._wanted = None
        self._told.clear()

    def _finish_movie(self) -> None:
        """Make the film whole, and beside it what is in it."""
        assert self._movie is not None
        movie, self._movie = self._movie, None
        path = self._archive.end(movie)
        self._archive.write(path.with_suffix(".json"), about(movie, path.name, self._told.values()))
        self._told = {name: event for name, event in self._told.items() if name in self._open_events}

    def _finish(self) -> None:
        if self._opened is None:
            return
        try:
            self._keep(self._coder.close())
        finally:
            if self._movie is not None:
                self._finish_movie()
            self._archive.close()


def about(movie: Movie, name: str, events: Iterable[Event]) -> bytes:
    """What stands beside a film: JSON, one line."""
    record = {
        "file": name,
        "time": round(movie.start.wall, 4),
        "seconds": round(movie.seconds, 3),
        "events": [event.record() for event in events],
    }
    return (json.dumps(record, ensure_ascii=False) + "\n").encode()
