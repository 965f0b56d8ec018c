"""The beat of a source that makes its own frames: one deadline after another on the monotonic clock."""

from __future__ import annotations

import threading
import time

from edgecam.errors import SourceLostError


class Pacer:
    """Waits for the moment of each frame, and can be woken.

    Deadlines are counted from the first frame, so the rate has no drift. Whoever comes late by more than
    ``slack`` seconds starts a new count: a live source never hurries to make good for lost time.

    Args:
        slack: seconds of lateness that are still made good.
    """

    def __init__(self, slack: float) -> None:
        self._slack = slack
        self._zero: float | None = None
        self._woken = threading.Event()

    def start(self) -> None:
        """Undo a :meth:`wake`, and begin a new count at the next :meth:`wait`."""
        self.rezero()
        self._woken.clear()

    def rezero(self) -> None:
        """Begin a new count at the next :meth:`wait`."""
        self._zero = None

    def wait(self, at: float) -> float:
        """Sleep until ``at`` seconds after the count's zero; returns the monotonic time.

        Raises:
            SourceLostError: :meth:`wake` was called, the source is closed.
        """
        now = time.monotonic()
        if self._zero is None or now - (self._zero + at) > self._slack:
            self._zero = now - at
        self.pause(max(0.0, self._zero + at - now))
        return time.monotonic()

    def pause(self, seconds: float | None) -> None:
        """Sleep for ``seconds`` (None: without end) or until woken; raises as :meth:`wait` does."""
        if self._woken.wait(seconds):
            raise SourceLostError("the source was closed while it was being read")

    def wake(self) -> None:
        """End a wait in another thread."""
        self._woken.set()
