"""The settings of tracking and events, a part of :class:`edgecam.config.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam.options import Number, Switch, setting
from edgecam.scene import LINES, RULES, ZONES, Line, Rule, Scene, Zone

EVENTS = "Tracking and events"


@dataclass(frozen=True)
class EventSettings:
    """See ``docs/events.md``."""

    track: bool = setting(
        False, Switch(), EVENTS, "Give objects ids that stay with them; on by itself where there are rules"
    )
    track_lost: float = setting(
        2.0,
        Number(float, 0, 600),
        EVENTS,
        "Seconds for which an object that is not found keeps its id",
        "SECONDS",
    )
    smoothing: float = setting(
        1.0,
        Number(float, 0, 600),
        EVENTS,
        "With --track: seconds over which a classification is averaged, so that a label holds",
        "SECONDS",
    )
    zone: tuple[Zone, ...] = setting(
        (),
        ZONES,
        EVENTS,
        "Parts of the picture: polygons, in parts of its width and height; [[zone]] in the file",
        "JSON",
        file_only=True,
        example='[{"name": "door", "points": [[0.3, 0.2], [0.7, 0.2], [0.7, 1], [0.3, 1]]}]',
    )
    line: tuple[Line, ...] = setting(
        (),
        LINES,
        EVENTS,
        "Lines to be crossed; [[line]] in the file",
        "JSON",
        file_only=True,
        example='[{"name": "gate", "points": [[0.5, 0], [0.5, 1]]}]',
    )
    rule: tuple[Rule, ...] = setting(
        (),
        RULES,
        EVENTS,
        "What makes an event, see docs/events.md; [[rule]] in the file",
        "JSON",
        file_only=True,
        example='[{"name": "visitor", "zone": "door", "labels": ["person"], "dwell": 2, "cooldown": 60}]',
    )

    @property
    def tracks(self) -> bool:
        """Objects are to be followed."""
        return self.track or bool(self.rule)

    @property
    def scene(self) -> Scene:
        """Zones, lines and rules in one."""
        return Scene(self.zone, self.line, self.rule)
