"""A classification that does not flicker: scores are averaged over time, and the first label holds."""

from __future__ import annotations

import math

import numpy as np

from edgecam.types import Classification

_MARGIN = 0.1  # by how much a label must be better than the one that holds
_NOTHING = 1e-3


class Smoother:
    """An exponential average of each label's score, by time, not by frames.

    Another label takes the first place once its average leads by a tenth: for this it must hold for about
    ``seconds``, and two equal ones don't take turns.

    Args:
        seconds: after which an old score weighs 37 %; 0 smooths nothing.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._now: float | None = None
        self._average: dict[int, float] = {}
        self._held: int | None = None

    def update(self, at: float, found: Classification, threshold: float) -> Classification:
        """The averages of at least ``threshold``, best first but for the label that holds: it stands first.

        Args:
            at: seconds, never less than before (less counts as no time).
            found: a frame's scores, those under ``threshold`` included; an absent label counts as 0.
            threshold: least average to report.
        """
        scores = {int(c): float(s) for c, s in zip(found.class_id, found.score, strict=True)}
        self._mix(scores, at)
        ranked = sorted(self._average.items(), key=lambda item: -item[1])
        self._hold(ranked)
        first = [item for item in ranked if item[0] == self._held]
        rest = [item for item in ranked if item[0] != self._held]
        rows = [item for item in first + rest if item[1] >= threshold][: max(len(found), 1)]
        return Classification(
            np.array([score for _, score in rows], np.float32), np.array([c for c, _ in rows], np.int32)
        )

    def _mix(self, scores: dict[int, float], at: float) -> None:
        if self._now is None or self._seconds <= 0:
            self._average = scores
            self._now = at
            return
        weight = 1 - math.exp(-max(0.0, at - self._now) / self._seconds)
        self._now = max(self._now, at)
        mixed = {
            c: (1 - weight) * self._average.get(c, 0.0) + weight * scores.get(c, 0.0)
            for c in self._average.keys() | scores.keys()
        }
        self._average = {c: score for c, score in mixed.items() if score > _NOTHING}

    def _hold(self, ranked: list[tuple[int, float]]) -> None:
        best = ranked[0] if ranked else (None, 0.0)
        held = self._average.get(self._held, 0.0) if self._held is not None else 0.0
        if self._seconds <= 0 or not held or best[1] > held + _MARGIN:
            self._held = best[0]
