"""A place for an item, or a few, between two threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """``put`` never blocks and replaces what nobody took; ``offer`` waits for room instead.

    Attributes:
        room: items that can wait in it, where they are offered.
        dropped: items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.room = 1
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Leave an item; the newest wins."""
        with self._changed:
            self.dropped += len(self._items)
            self._items.clear()
            self._items.append(item)
            self._changed.notify_all()

    def offer(self, item: T, timeout: float) -> bool:
        """Leave an item once there is room; False after ``timeout`` seconds or when closed."""
        with self._changed:
            if not self._wait(lambda: len(self._items) < self.room, timeout) or self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self, timeout: float) -> T | None:
        """The oldest item, waiting up to ``timeout`` seconds for one; None then, or once closed and empty."""
        with self._changed:
            if not self._wait(lambda: bool(self._items), timeout):
                return None
            self._changed.notify_all()
            return self._items.popleft()

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
