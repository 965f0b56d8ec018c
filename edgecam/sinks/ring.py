"""The last seconds of coded pictures, within a bound of bytes."""

from __future__ import annotations

from collections import deque

from edgecam.sinks.coding import Unit


class Ring:
    """Holds what came of late; what is too old or too much falls out at the other end.

    Args:
        seconds: how long a picture stays.
        most: bytes of all pictures together. One picture that is larger than that is not kept.

    Attributes:
        bytes: of the pictures held.
        cut: seconds were given up for the bound of bytes.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self.bytes = 0
        self.cut = False
        self._seconds = seconds
        self._most = most
        self._units: deque[Unit] = deque()

    def __len__(self) -> int:
        return len(self._units)

    def add(self, unit: Unit) -> None:
        units = self._units
        if units and (unit.track is not units[-1].track or unit.at < units[-1].at):
            self.clear()  # another film
        units.append(unit)
        self.bytes += len(unit.data)
        while units and unit.at - units[0].at > self._seconds:
            self._drop()
        while units and self.bytes > self._most:
            self._drop()
            self.cut = True

    def since(self, at: float) -> list[Unit]:
        """The pictures from ``at`` on, beginning with the last key picture before (or the first after) it."""
        units = list(self._units)
        keys = [i for i, unit in enumerate(units) if unit.key]
        if not keys:
            return []
        first = max((i for i in keys if units[i].at <= at), default=keys[0])
        return units[first:]

    def clear(self) -> None:
        self._units.clear()
        self.bytes = 0

    def _drop(self) -> None:
        self.bytes -= len(self._units.popleft().data)
