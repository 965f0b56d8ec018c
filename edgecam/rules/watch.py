"""What each kind of rule waits for: an object in a place, several at one time, one across a line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgecam.events import Direction, Event, Moment
from edgecam.rules.objects import Objects
from edgecam.rules.story import Origin, Story
from edgecam.scene import Rule

#: Least score of a classification's label for a rule that names none.
LABEL_SCORE = 0.5


@dataclass
class Work:
    """One frame for all rules; ``inside`` and ``crossed`` are those of the rule in hand.

    Attributes:
        best: float64 (N,), the best score that each object has had.
        inside: bool (N,), whose anchor is in the rule's place.
        crossed: 1 for who crossed its line to the right in this frame, -1 to the left, else 0.
    """

    moment: Moment
    objects: Objects
    labels: Sequence[str]
    best: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    crossed: Sequence[int] = ()


def _label(labels: Sequence[str], class_id: int) -> str:
    known = 0 <= class_id < len(labels) and labels[class_id]
    return known or f"#{class_id}"


class Watch(Protocol):
    """One rule at work."""

    rule: Rule

    def look(self, work: Work) -> list[Event]:
        """The steps that a frame causes."""

    def expire(self, at: float) -> list[Event]:
        """The ends that have come by the time ``at``."""

    def counts(self) -> dict[str, int]: ...

    def __len__(self) -> int:
        """What it keeps in mind."""


class _Base:
    """What the kinds have in common: the filter, the cooldown, making events."""

    def __init__(self, rule: Rule, new_id: Callable[[], str]) -> None:
        self.rule = rule
        self._new_id = new_id
        self._number = 0
        self._free_at = float("-inf")
        self._labels: Sequence[str] | None = None
        self._wanted: npt.NDArray[np.bool_] | None = None

    def _fits(self, work: Work) -> list[int]:
        """The rows that are what the rule asks for, where it asks for them."""
        rule, objects = self.rule, work.objects
        fit = work.inside
        least = rule.min_score
        if least is None and not objects.tracked:
            least = LABEL_SCORE
        if least:
            fit = fit & (work.best >= least - 1e-6)
        if rule.min_size > 0 or rule.max_size < 1:
            fit = fit & (objects.areas >= rule.min_size) & (objects.areas <= rule.max_size)
        if rule.labels:
            fit = fit & self._wants(work)
        out: list[int] = fit.nonzero()[0].tolist()
        return out

    def _wants(self, work: Work) -> npt.NDArray[np.bool_]:
        """Whose label the rule names, bool (N,): a table by class, its last entry for the rest."""
        if self._wanted is None or self._labels is not work.labels:
            ids = {i for i, label in enumerate(work.labels) if label in self.rule.labels}
            ids |= {int(name[1:]) for name in self.rule.labels if name[:1] == "#" and name[1:].isdecimal()}
            self._labels, self._wanted = work.labels, np.zeros(max(ids, default=0) + 2, bool)
            self._wanted[list(ids)] = True
        out: npt.NDArray[np.bool_] = self._wanted[np.minimum(work.objects.class_id, len(self._wanted) - 1)]
        return out

    def _start(
        self, work: Work, rows: Sequence[int], direction: Direction | Literal[""] = ""
    ) -> tuple[Story, Event]:
        self._number += 1
        self._free_at = work.moment.at + self.rule.cooldown
        rule = self.rule
        kind: Literal["zone", "line", "picture"] = "zone" if rule.zone else "line" if rule.line else "picture"
        origin = Origin(
            self._new_id(),
            rule.name,
            rule.zone or rule.line or "",
            kind,
            self._number,
            work.moment,
            direction,
        )
        story = Story(origin, functools.partial(_label, work.labels), work.moment)
        return story, story.begin(work.objects, rows)

    def _end(self, story: Story) -> Event:
        self._free_at = max(self._free_at, story.last.at + self.rule.cooldown)
        return story.end()


@dataclass(slots=True)
class _Stay:
    """An object (or several) in a place: since when, until when, and the event that this is."""

    since: float
    last: float
    story: Story | None = None


class ObjectWatch(_Base):
    """An event for each object that is in a place, for as long as it is there."""

    def __init__(self, rule: Rule, new_id: Callable[[], str]) -> None:
        super().__init__(rule, new_id)
        self._stays: dict[int, _Stay] = {}
        self._now = 0

    def __len__(self) -> int:
        return len(self._stays)

    def counts(self) -> dict[str, int]:
        return {"events": self._number, "now": self._now}

    def look(self, work: Work) -> list[Event]:
        at, events = work.moment.at, self.expire(work.moment.at)
        rows = self._fits(work)
        self._now = len(rows)
        for row in rows:
            stay = self._stays.get(work.objects.names[row])
            if stay is None:
                stay = self._stays[work.objects.names[row]] = _Stay(at, at)
            stay.last = at
            if stay.story is not None:
                step = stay.story.go_on(work.moment, work.objects, (row,))
                events += [step] if step is not None else []
            elif at - stay.since >= self.rule.dwell and at >= self._free_at:
                stay.story, step = self._start(work, (row,))
                events.append(step)
        return events

    def expire(self, at: float) -> list[Event]:
        late = [name for name, stay in self._stays.items() if at - stay.last > self.rule.end_after]
        gone = [self._stays.pop(name).story for name in late]
        return [self._end(story) for story in gone if story is not None]


class CrowdWatch(_Base):
    """One event while so many objects are in a place at one time."""

    def __init__(self, rule: Rule, new_id: Callable[[], str]) -> None:
        super().__init__(rule, new_id)
        self._stay: _Stay | None = None
        self._now = 0

    def __len__(self) -> int:
        return int(self._stay is not None)

    def counts(self) -> dict[str, int]:
        return {"events": self._number, "now": self._now}

    def look(self, work: Work) -> list[Event]:
        assert self.rule.count is not None
        at, events = work.moment.at, self.expire(work.moment.at)
        rows = self._fits(work)
        self._now = len(rows)
        if len(rows) < self.rule.count:
            return events
        stay = self._stay = self._stay or _Stay(at, at)
        stay.last = at
        if stay.story is not None:
            step = stay.story.go_on(work.moment, work.objects, rows)
            events += [step] if step is not None else []
        elif at - stay.since >= self.rule.dwell and at >= self._free_at:
            stay.story, step = self._start(work, rows)
            events.append(step)
        return events

    def expire(self, at: float) -> list[Event]:
        stay = self._stay
        if stay is None or at - stay.last <= self.rule.end_after:
            return []
        self._stay = None
        return [] if stay.story is None else [self._end(stay.story)]


class LineWatch(_Base):
    """An event for each crossing; it goes on for ``end_after`` seconds, for the sake of its best sight."""

    def __init__(self, rule: Rule, new_id: Callable[[], str]) -> None:
        super().__init__(rule, new_id)
        self._open: list[tuple[int, Story]] = []
        self._over = {"in": 0, "out": 0}

    def __len__(self) -> int:
        return len(self._open)

    def counts(self) -> dict[str, int]:
        return {"events": self._number, **self._over}

    def look(self, work: Work) -> list[Event]:
        events = self.expire(work.moment.at)
        if self._open:
            where = {name: row for row, name in enumerate(work.objects.names)}
            for name, story in self._open:
                step = story.look(work.moment, work.objects, where[name]) if name in where else None
                events += [step] if step is not None else []
        if not any(work.crossed):
            return events
        for row in self._fits(work):
            if not work.crossed[row]:
                continue
            direction: Direction = "in" if work.crossed[row] > 0 else "out"
            if self.rule.direction not in ("both", direction):
                continue
            self._over[direction] += 1
            if work.moment.at >= self._free_at:
                story, step = self._start(work, (row,), direction)
                self._open.append((work.objects.names[row], story))
                events.append(step)
        return events

    def expire(self, at: float) -> list[Event]:
        late = [story for _, story in self._open if at - story.last.at > self.rule.end_after]
        if late:
            self._open = [pair for pair in self._open if at - pair[1].last.at <= self.rule.end_after]
        # The cooldown of a crossing runs from the crossing on.
        return [story.end() for story in late]
