"""Which results no other one beats in accuracy, latency and size at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A judged file.

    Attributes:
        variant: of the sweep.
        model: of the variant: ``float``, ``int8``, ...
        accuracy: top-1 or AP50, a fraction.
        ms: median of the network for one picture.
        bytes: of the file; ``compressed``: after zlib.
        macs: multiply-accumulates; ``parameters``: weights.
    """

    variant: str
    model: str
    accuracy: float
    ms: float
    bytes: int
    compressed: int
    macs: int
    parameters: int

    def beats(self, other: Point) -> bool:
        """Nowhere worse and somewhere better."""
        mine = (-self.accuracy, self.ms, self.bytes)
        theirs = (-other.accuracy, other.ms, other.bytes)
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other one beats, the most accurate first."""
    best = [point for point in points if not any(other.beats(point) for other in points)]
    return sorted(best, key=lambda point: (-point.accuracy, point.ms, point.bytes))
