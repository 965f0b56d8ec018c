"""Events: what rules make of objects. An event starts, is updated, and ends; each step is an :class:`Event`.

A sink finds the steps of a frame in ``packet.events``; ``docs/events.md`` explains the keys of a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Phase: TypeAlias = Literal["start", "update", "end"]

#: The ways across a line: ``in`` is to the right of who walks from its first point to its second.
Direction: TypeAlias = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame's place in time.

    Attributes:
        seq: number of the frame in its source.
        at: seconds that never jump back, the logic's clock: monotonic for a live source
            (``frame.times.captured``), the position in the file for a video.
        wall: when the frame was captured, seconds since 1970; for people only.
        media_time: position in the file in seconds, None for a live source.
    """

    seq: int
    at: float
    wall: float
    media_time: float | None = None

    def record(self) -> dict[str, Any]:
        media = None if self.media_time is None else round(self.media_time, 4)
        return {"seq": self.seq, "time": round(self.wall, 4), "media_time": media}


@dataclass(frozen=True, slots=True)
class Best:
    """The sight of an event's objects that is worth a snapshot: score times size is the largest.

    Attributes:
        moment: its frame.
        score: the object's score, 0 to 1.
        box: x1, y1, x2, y2 of the object as parts of the frame, 0 to 1; the whole frame for a classification.
        track_id: the object; 0 for a classification.
        label: its label.
    """

    moment: Moment
    score: float
    box: tuple[float, float, float, float]
    track_id: int
    label: str

    @property
    def value(self) -> float:
        """Score times size, the part of the picture that the box covers."""
        x1, y1, x2, y2 = self.box
        return self.score * max(0.0, x2 - x1) * max(0.0, y2 - y1)

    def record(self) -> dict[str, Any]:
        return self.moment.record() | {
            "label": self.label,
            "track_id": self.track_id,
            "score": round(self.score, 4),
            "box": [round(v, 4) for v in self.box],
        }


@dataclass(frozen=True, slots=True)
class Event:
    """One step of an event.

    Attributes:
        id: the same in every step of one event and in no other event, over restarts too. Fit for a file name:
            letters, digits and ``-``.
        phase: ``start`` once, ``update`` any number of times, ``end`` once.
        rule: the rule's name.
        place: the zone's or line's name, "" for the whole picture.
        kind: what the place is.
        label: of the object that the best sight shows.
        number: counts the events of this rule from 1 since the run began.
        tracks: ids of the objects that fulfilled the rule when it was last told, ascending; () for a
            classification.
        count: how many they are.
        direction: how a line was crossed, else "".
        start: the frame at which it started.
        last: the last frame at which the rule was fulfilled; the end, once ``phase`` is ``end``.
        best: the best sight so far. Its frame is the packet's own whenever it has changed: a sink that keeps
            pictures keeps this one when :attr:`improved` is true.
        improved: ``best`` is new with this step; its picture is that of the packet that carries the step.
        most: the most objects that fulfilled it at one time.
    """

    id: str
    phase: Phase
    rule: str
    place: str
    kind: Literal["zone", "line", "picture"]
    label: str
    number: int
    tracks: tuple[int, ...]
    count: int
    direction: Direction | Literal[""]
    start: Moment
    last: Moment
    best: Best
    improved: bool
    most: int = 1

    @property
    def seconds(self) -> float:
        """How long it has lasted; by the clock that never jumps."""
        return self.last.at - self.start.at

    def record(self) -> dict[str, Any]:
        """The step as plain values, one schema for JSON lines and the page's events."""
        return {
            "type": "event",
            "id": self.id,
            "phase": self.phase,
            "rule": self.rule,
            "kind": self.kind,
            "place": self.place,
            "label": self.label,
            "number": self.number,
            "tracks": list(self.tracks),
            "count": self.count,
            "most": self.most,
            "direction": self.direction,
            "start": self.start.record(),
            "end": self.last.record() if self.phase == "end" else None,
            "seconds": round(self.seconds, 3),
            "best": self.best.record(),
        }
