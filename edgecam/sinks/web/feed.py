"""The last events, for viewers that come late, read slowly or were away.

A packet may be replaced by a newer one before a viewer has seen it; a step of an event must not be. So steps
wait here, the newest thousand of them, and each viewer has its own place in the row.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from edgecam.events import Event

KEPT = 1000


class Step(NamedTuple):
    """A step of an event. ``number`` counts them from 1; ``record`` is its JSON."""

    number: int
    record: bytes


class Feed:
    """The newest steps of events. Any thread may write and read.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._steps: deque[Step] = deque(maxlen=kept)
        self._last = 0
        self._run = secrets.token_hex(3)
        self._lock = threading.Lock()

    def add(self, events: Iterable[Event]) -> None:
        """Append steps, oldest first."""
        rows = [json.dumps(event.record(), ensure_ascii=False, separators=(",", ":")) for event in events]
        if not rows:
            return
        with self._lock:
            for row in rows:
                self._last += 1
                self._steps.append(Step(self._last, row.encode()))

    @property
    def last(self) -> int:
        """The newest step's number, 0 before the first."""
        with self._lock:
            return self._last

    def after(self, number: int) -> list[Step]:
        """Those after ``number`` that are still kept, oldest first."""
        with self._lock:
            fresh = min(self._last - number, len(self._steps))
            return list(islice(self._steps, len(self._steps) - fresh, None)) if fresh > 0 else []

    def mark(self, number: int) -> str:
        """A number as clients get it: it does not pass for one of another run."""
        return f"{self._run}-{number}"

    def place(self, mark: str) -> int | None:
        """The number of a mark; None for one of another run, and for what is none."""
        run, _, number = mark.partition("-")
        return int(number) if run == self._run and number.isascii() and number.isdecimal() else None

    def answer(self, mark: str, limit: int) -> dict[str, Any]:
        """The newest ``limit`` steps after a mark, ready for JSON."""
        place = self.place(mark) or 0
        steps = self.after(place)
        shown = steps[-limit:]
        missed = max(0, (steps[0].number if steps else place + 1) - place - 1) if place else 0
        return {
            "last": self.mark(steps[-1].number if steps else self.last),
            "missed": missed + len(steps) - len(shown) if place else 0,
            "events": [json.loads(step.record) for step in shown],
        }
