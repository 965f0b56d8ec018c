"""Objects by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from edgecam.events import Event, Moment
from edgecam.rules.engine import Rules
from edgecam.rules.objects import Objects
from edgecam.scene import Line, Rule, Scene, Zone, check

LABELS = ("person", "dog", "car")
LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
GATE = Line("gate", ((0.5, 0.0), (0.5, 1.0)))


def at(seconds: float, wall: float | None = None) -> Moment:
    return Moment(round(seconds * 1000), seconds, 1e9 + seconds if wall is None else wall)


def objects(*rows: dict[str, Any], tracked: bool = True) -> Objects:
    """Keys of a row: id, x and y of the bottom's middle, width, height, score, label."""
    boxes = [
        (
            row.get("x", 0.25) - row.get("width", 0.1) / 2,
            row.get("y", 0.5) - row.get("height", 0.2),
            row.get("x", 0.25) + row.get("width", 0.1) / 2,
            row.get("y", 0.5),
        )
        for row in rows
    ]
    return Objects(
        np.array([row.get("id", n + 1) for n, row in enumerate(rows)], np.int32),
        np.array([LABELS.index(row.get("label", "person")) for row in rows], np.int32),
        np.array([row.get("score", 0.8) for row in rows], np.float32),
        np.array(boxes, np.float64).reshape(-1, 4),
        tracked=tracked,
    )


class Stage:
    """A scene with the two places above and these rules."""

    def __init__(self, *rules: Rule, remember: float = 2.0) -> None:
        scene = Scene((LEFT,), (GATE,), rules)
        check(scene)
        self.rules = Rules(scene, remember)
        self.events: list[Event] = []

    def __call__(self, seconds: float, *rows: dict[str, Any], **more: Any) -> list[str]:
        """Show objects; the phases of the steps this causes."""
        steps = self.rules.look(at(seconds, more.pop("wall", None)), objects(*rows, **more), LABELS)
        self.events += steps
        return phases(steps)

    def stays(self, start: float, end: float, *rows: dict[str, Any], step: float = 0.1) -> list[str]:
        """Show the same objects for a while."""
        found: list[str] = []
        for n in range(round((end - start) / step)):
            found += self(start + n * step, *rows)
        return found


def phases(steps: Iterable[Event]) -> list[str]:
    return [event.phase for event in steps]
