"""A place for one item between two threads: the newest wins."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Depth one, never blocks the producer: a new item replaces one that nobody took.

    Attributes:
        dropped: items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._item: T | None = None
        self._closed = False
        self._ready = threading.Condition()

    def put(self, item: T) -> None:
        with self._ready:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._ready.notify()

    def take(self, timeout: float) -> T | None:
        """The item, waiting up to ``timeout`` seconds for one; None on time-out or once closed and empty."""
        deadline = time.monotonic() + timeout
        with self._ready:
            while self._item is None and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._ready.wait(left)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake whoever waits; an item already there can still be taken."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed
