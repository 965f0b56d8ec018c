"""The figures of the last ten minutes, for the page's charts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edgecam.types import Status

STEP = 2.0
KEPT = 300

#: What is kept of a status, in the order in which it is told.
FIELDS = ("camera_fps", "inference_fps", "inference_ms", "age_ms", "temperature")


class History:
    """A sample every two seconds. Any thread may add and read.

    Args:
        clock: seconds since 1970; in place of ``time.time``.
        steady: seconds that never jump; in place of ``time.monotonic``.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._due = -1e18
        self._rows: deque[list[float | None]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def observe(self, status: Status) -> None:
        """Take a sample if it is time for one; while no pictures flow it has no figures."""
        now = self._steady()
        if now < self._due:
            return
        self._due = now + STEP
        flows = status.state in ("running", "degraded")
        values = [getattr(status, name) if flows or name == "temperature" else None for name in FIELDS]
        row = [round(self._clock(), 1), *(None if v is None else round(float(v), 2) for v in values)]
        with self._lock:
            self._rows.append(row)

    def answer(self) -> dict[str, Any]:
        """What is kept, oldest first, ready for JSON: rows of ``time`` and :data:`FIELDS`."""
        with self._lock:
            rows = list(self._rows)
        return {"step": STEP, "fields": ["time", *FIELDS], "rows": rows}
