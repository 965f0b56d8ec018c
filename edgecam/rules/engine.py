"""Rules at work: objects in, steps of events out, frame after frame.

All that is remembered belongs to an object that is there or to an event that goes on, so a million events
need no more memory than the first.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgecam.events import Event, Moment
from edgecam.rules.geometry import Gate, Polygon
from edgecam.rules.objects import Objects
from edgecam.rules.watch import CrowdWatch, LineWatch, ObjectWatch, Watch, Work
from edgecam.scene import Rule, Scene

_TIDY_EVERY = 1.0


class Rules:
    """Evaluates a scene's rules.

    Args:
        scene: checked (:func:`edgecam.scene.check`).
        remember: seconds for which an object that is not seen may come back under its id.
    """

    def __init__(self, scene: Scene, remember: float) -> None:
        self._polygons = {zone.name: Polygon(zone.points) for zone in scene.zones}
        self._lines = {line.name: line.points for line in scene.lines}
        self._gates: dict[tuple[str, str], Gate] = {}
        self._remember = remember
        self._run = secrets.token_hex(4)
        self._events = 0
        self._best_score: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._tidied = 0.0
        self._watches = [self._watch(rule) for rule in scene.rules]

    def _watch(self, rule: Rule) -> Watch:
        if rule.line is not None:
            self._gates[rule.line, rule.anchor] = Gate(self._lines[rule.line])
            return LineWatch(rule, self._new_id)
        return (ObjectWatch if rule.count is None else CrowdWatch)(rule, self._new_id)

    def _new_id(self) -> str:
        self._events += 1
        return f"{self._run}-{self._events}"

    @property
    def remembered(self) -> int:
        """Objects and events that are kept in mind."""
        gates = sum(len(gate) for gate in self._gates.values())
        return len(self._seen) + gates + sum(len(watch) for watch in self._watches)

    def counts(self) -> dict[str, dict[str, int]]:
        """By rule: ``events`` since the run began, ``now`` in the place, ``in`` and ``out`` over the line."""
        return {watch.rule.name: watch.counts() for watch in self._watches}

    def look(self, moment: Moment, objects: Objects, labels: Sequence[str]) -> list[Event]:
        """Take a frame's objects; ``moment.at`` never falls."""
        work = Work(moment, objects, labels, self._notice(moment, objects))
        crossed = {
            (name, anchor): gate.cross(
                objects.names, objects.anchors(anchor), objects.heights, objects.aspect
            )
            for (name, anchor), gate in self._gates.items()
        }
        everywhere = np.ones(len(objects), bool)
        inside: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}
        events: list[Event] = []
        for watch in self._watches:
            rule = watch.rule
            if rule.line is not None:
                work.crossed = crossed[rule.line, rule.anchor]
            work.inside = everywhere
            if rule.zone is not None:
                key = rule.zone, rule.anchor
                if key not in inside:
                    inside[key] = self._polygons[rule.zone].contains(objects.anchors(rule.anchor))
                work.inside = inside[key]
            events += watch.look(work)
        self._tidy(moment.at)
        return events

    def idle(self, at: float) -> list[Event]:
        """No frame comes, and it is ``at``: end what has waited for long enough."""
        return [event for watch in self._watches for event in watch.expire(at)]

    def finish(self) -> list[Event]:
        """End all that goes on."""
        return [event for watch in self._watches for event in watch.expire(float("inf"))]

    def _notice(self, moment: Moment, objects: Objects) -> npt.NDArray[np.float64]:
        """The best score that each object has had; of a classification's labels the present one."""
        if not objects.tracked:
            return objects.score.astype(np.float64)
        best = []
        for name, score in zip(objects.names, objects.score.tolist(), strict=True):
            self._seen[name] = moment.at
            known = max(score, self._best_score.get(name, 0.0))
            self._best_score[name] = known
            best.append(known)
        return np.array(best, np.float64)

    def _tidy(self, at: float) -> None:
        """Forget who will not come back."""
        if at - self._tidied < _TIDY_EVERY:
            return
        self._tidied = at
        gone = [name for name, seen in self._seen.items() if at - seen > self._remember + _TIDY_EVERY]
        for name in gone:
            del self._seen[name], self._best_score[name]
        for gate in self._gates.values():
            gate.forget(gone)
