"""Rates and durations over a window, so that figures follow the present and fall to 0 when nothing comes."""

from __future__ import annotations

import threading
import time
from collections import deque
from statistics import median


class RateMeter:
    """Events a second over the last ``window`` seconds. Any thread may write and read."""

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=1024)
        # Even copying a deque fails when another thread appends to it meanwhile.
        self._lock = threading.Lock()

    def tick(self, now: float | None = None) -> None:
        """Note one event at ``now`` (monotonic seconds)."""
        with self._lock:
            self._times.append(time.monotonic() if now is None else now)

    def rate(self, now: float | None = None) -> float:
        """Events a second, 0.0 once the window has passed without any."""
        now = time.monotonic() if now is None else now
        with self._lock:
            times = self._times
            while times and now - times[0] > self._window:
                times.popleft()
            if len(times) < 2:
                return 0.0
            first, last, periods = times[0], times[-1], len(times) - 1
        # While events come, the span between first and last is exact; when they stop, the growing gap
        # since the last one pulls the rate down before it falls to 0.
        span = last - first
        gap = now - last
        return periods / (span + max(0.0, gap - span / periods)) if span > 0 else 0.0


class DurationMeter:
    """The median of the last ``count`` durations, which one hiccup does not move."""

    def __init__(self, count: int = 31) -> None:
        self._values: deque[float] = deque(maxlen=count)

    def add(self, seconds: float) -> None:
        self._values.append(seconds)

    def median(self) -> float:
        """Seconds; 0.0 before the first."""
        return median(self._values) if self._values else 0.0
