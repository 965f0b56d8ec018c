"""What the doctor finds."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Level(enum.IntEnum):
    """How bad it is.

    ``OK``: nothing to do. ``WARNING``: it works, but not as well as it could. ``FAILURE``: what the settings
    ask for cannot work.
    """

    OK = 0
    WARNING = 1
    FAILURE = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        level: how bad it is.
        seen: what was seen, one line.
        remedy: what to do, one line; "" where there is nothing to do.
    """

    check: str
    level: Level
    seen: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"check": self.check, "level": self.level.word, "seen": self.seen, "remedy": self.remedy}


def ok(check: str, seen: str) -> Finding:
    return Finding(check, Level.OK, seen)


def warning(check: str, seen: str, remedy: str = "") -> Finding:
    return Finding(check, Level.WARNING, seen, remedy)


def failure(check: str, seen: str, remedy: str = "") -> Finding:
    return Finding(check, Level.FAILURE, seen, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """The highest level, OK of nothing."""
    return max((finding.level for finding in findings), default=Level.OK)
