"""The settings that spare the model work, a part of :class:`edgecam.config.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam.options import Number, Switch, Text, setting
from edgecam.values import Region, parse_region

MODEL, LOAD = "Model", "Heat and load"


@dataclass(frozen=True)
class SpeedSettings:
    """See ``docs/speed.md``."""

    region: str | None = setting(
        None,
        Text("two corners X,Y X,Y", check=parse_region),
        MODEL,
        "The part of the picture that it looks at: upper left and lower right corner, in parts of width and "
        "height",
        "'X,Y X,Y'",
        example="0.25,0.4 0.75,1",
    )
    motion: bool = setting(
        False,
        Switch(),
        LOAD,
        "Let the model rest while nothing moves: what it said last stands, see docs/speed.md",
    )
    motion_part: float = setting(
        0.002, Number(float, 0, 1), LOAD, "Part of the picture that must change to count as motion", "PART"
    )
    motion_every: float = setting(
        5.0,
        Number(float, 0.1, 3600),
        LOAD,
        "Seconds after which the model looks all the same",
        "SECONDS",
    )

    @property
    def region_box(self) -> Region | None:
        """(left, top, right, bottom) of ``region`` in parts of the picture, or None."""
        return None if self.region is None else parse_region(self.region)
