"""One event while it goes on: what is known of it, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edgecam.events import Best, Direction, Event, Moment, Phase
from edgecam.rules.objects import Objects

#: How many times better a sight must be to take the place of the best one. Without it an object that comes
#: nearer would be a new best, and a new picture to keep, in every frame.
BETTER = 1.1
#: Seconds between two updates that tell of no more than another number of objects.
TELL_EVERY = 1.0

Label: TypeAlias = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Origin:
    """What does not change in an event. Attributes as in :class:`edgecam.events.Event`."""

    id: str
    rule: str
    place: str
    kind: Literal["zone", "line", "picture"]
    number: int
    start: Moment
    direction: Direction | Literal[""] = ""


@dataclass(slots=True)
class Story:
    """
    Args:
        origin: what does not change.
        label: the label of a class.

    Attributes:
        last: when the rule was last fulfilled.
    """

    origin: Origin
    label: Label
    last: Moment
    _best: Best | None = None
    _value: float = 0.0
    _tracks: tuple[int, ...] = ()
    _count: int = 0
    _most: int = 0
    _told: float = field(default=0.0)

    def begin(self, objects: Objects, rows: Sequence[int]) -> Event:
        """The start: these rows fulfil the rule."""
        self._notice(objects, rows)
        self._improve(self.last, objects, rows)
        return self._step("start", improved=True)

    def go_on(self, moment: Moment, objects: Objects, rows: Sequence[int]) -> Event | None:
        """These rows still fulfil it; an update if there is something to tell."""
        self.last = moment
        changed = len(rows) != self._count and moment.at - self._told >= TELL_EVERY
        if changed:
            self._notice(objects, rows)
        self._most = max(self._most, len(rows))
        improved = self._improve(moment, objects, rows)
        return self._step("update", improved) if improved or changed else None

    def look(self, moment: Moment, objects: Objects, row: int) -> Event | None:
        """Its object is seen, though what the rule asks for is over; an update for a better sight."""
        return self._step("update", improved=True) if self._improve(moment, objects, (row,)) else None

    def end(self) -> Event:
        return self._step("end", improved=False)

    def _notice(self, objects: Objects, rows: Sequence[int]) -> None:
        self._count, self._told = len(rows), self.last.at
        self._most = max(self._most, self._count)
        self._tracks = tuple(sorted(objects.names[row] for row in rows)) if objects.tracked else ()

    def _improve(self, moment: Moment, objects: Objects, rows: Sequence[int]) -> bool:
        row = rows[0] if len(rows) == 1 else max(rows, key=objects.values.__getitem__)
        if self._best is not None and objects.values[row] <= self._value * BETTER:
            return False
        x1, y1, x2, y2 = objects.boxes[row].tolist()
        self._value = objects.values[row]
        self._best = Best(
            moment=moment,
            score=float(objects.score[row]),
            box=(x1, y1, x2, y2),
            track_id=objects.names[row] if objects.tracked else 0,
            label=self.label(int(objects.class_id[row])),
        )
        return True

    def _step(self, phase: Phase, improved: bool) -> Event:
        assert self._best is not None
        origin = self.origin
        return Event(
            id=origin.id,
            phase=phase,
            rule=origin.rule,
            place=origin.place,
            kind=origin.kind,
            label=self._best.label,
            number=origin.number,
            tracks=self._tracks,
            count=self._count,
            direction=origin.direction,
            start=origin.start,
            last=self.last,
            best=self._best,
            improved=improved,
            most=self._most,
        )
