"""Growing pauses between tries."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubles from ``first`` to ``most`` seconds, each shortened by up to a quarter by chance: devices that
    lost the same server do not come back in the same moment.
    """

    def __init__(self, first: float, most: float, chance: Callable[[], float] = random.random) -> None:
        self._first, self._most, self._chance = first, most, chance
        self._next = first

    def pause(self, least: float = 0.0) -> float:
        """Seconds to wait now, at least ``least``; the next pause is longer."""
        now = max(self._next, least)
        self._next = min(self._next * 2, self._most)
        return now * (1 - self._chance() / 4)

    def reset(self) -> None:
        """It worked: begin with the shortest again."""
        self._next = self._first
