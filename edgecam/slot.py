"""A place for one item between two threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Depth one. ``put`` never blocks and replaces what nobody took; ``offer`` waits for room instead.

    Attributes:
        dropped: items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._item: T | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Leave an item; the newest wins."""
        with self._changed:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify_all()

    def offer(self, item: T, timeout: float) -> bool:
        """Leave an item once the slot is empty; False after ``timeout`` seconds or when closed."""
        with self._changed:
            if not self._wait(lambda: self._item is None, timeout) or self._closed:
                return False
            self._item = item
            self._changed.notify_all()
            return True

    def take(self, timeout: float) -> T | None:
        """The item, waiting up to ``timeout`` seconds for one; None on time-out or once closed and empty."""
        with self._changed:
            self._wait(lambda: self._item is not None, timeout)
            item, self._item = self._item, None
            if item is not None:
                self._changed.notify_all()
            return item

    def close(self) -> None:
        """Wake whoever waits; an item already there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def _wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not ready() and not self._closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._changed.wait(left)
        return ready()
