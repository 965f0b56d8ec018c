"""Old recordings make room for new ones: by age, by size, and by what is free on the disk.

Files are those of :mod:`edgecam.storage`, ``FOLDER/YYYY-MM-DD/KIND-HHMMSS...``; nothing else is ever touched.
What is kept in memory is one number a day, however many files there are.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_FREE = 1 << 30
_FREE_SHARE = 0.05
_BATCH = 256
_SUFFIXES = (".mp4", ".jpg", ".json")  # of files that belong together


@dataclass(frozen=True)
class Limits:
    """What is kept.

    Attributes:
        age: seconds, 0 for ever.
        size: bytes of one kind of files, 0 for no bound.
        free: bytes that stay free on the disk; None for 1 GB, or a twentieth of a smaller disk.
    """

    age: float = 0.0
    size: int = 0
    free: int | None = None


@dataclass
class _Day:
    bytes: int = 0
    since: float | None = None  # monotonic seconds at which this run first wrote there


@dataclass
class Retention:
    """Deletes the oldest first. Any thread may call it.

    Args:
        folder: see the module.
        kind: the first word of the files' names.
        limits: what is kept.

    Attributes:
        deleted: files deleted so far.
    """

    folder: Path
    kind: str
    limits: Limits
    deleted: int = 0
    _days: dict[str, _Day] = field(default_factory=dict)
    _oldest: list[Path] = field(default_factory=list)
    _room: bool = True
    _sweeping: threading.Lock = field(default_factory=threading.Lock)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scan(self) -> None:
        """Learn what is there."""
        with self._lock:
            before, self._days = self._days, {}
            for folder in _day_folders(self.folder):
                size = sum(_size(path) for path in self._files(folder))
                since = before[folder.name].since if folder.name in before else None
                self._days[folder.name] = _Day(size, since)

    def add(self, path: Path, size: int) -> None:
        """A file became whole."""
        with self._lock:
            day = self._days.setdefault(path.parent.name, _Day())
            day.bytes += size
            if day.since is None:
                day.since = time.monotonic()

    @property
    def bytes(self) -> int:
        """Of all files, as far as is known."""
        with self._lock:
            return sum(day.bytes for day in self._days.values())

    @property
    def least_free(self) -> int:
        """Bytes that stay free on this disk.

        Raises:
            OSError: there is no such folder.
        """
        if self.limits.free is not None:
            return self.limits.free
        return min(_MOST_FREE, int(shutil.disk_usage(self.folder).total * _FREE_SHARE))

    def sweep(self, coming: int = 0, now: float | None = None) -> bool:
        """Delete what is too old or too much; whether there is room for more.

        Args:
            coming: bytes of a file that is being written.
            now: seconds since 1970.
        """
        if not self._sweeping.acquire(blocking=False):
            return self._room  # another thread is at it
        try:
            self._room = self._make_room(coming, time.time() if now is None else now)
        finally:
            self._sweeping.release()
        return self._room

    def _make_room(self, coming: int, now: float) -> bool:
        self._sweep_age(now)
        if self.limits.size:
            while self.bytes + coming > self.limits.size and self._delete_oldest():
                pass
        try:
            least = self.least_free
            while shutil.disk_usage(self.folder).free < least:
                if not self._delete_oldest():
                    return False
        except FileNotFoundError:  # somebody deleted the folder: it is made again when it is needed
            return True
        return True

    def _sweep_age(self, now: float) -> None:
        if not self.limits.age:
            return
        oldest = now - self.limits.age
        # A folder is named by local time, a file has its own: look at one day more.
        last = (date.fromtimestamp(max(0.0, oldest)) + timedelta(days=1)).isoformat()
        for folder in _day_folders(self.folder):
            if folder.name > last:
                break
            since = self._days.get(folder.name, _Day()).since
            if since is not None and time.monotonic() - since < self.limits.age:
                continue  # written in this run: it is the clock that was set, not the file that is old
            for path in list(self._files(folder)):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        self._delete(path)

    def _delete_oldest(self) -> bool:
        """Delete one file; False if there is none."""
        while self._oldest or self._find_oldest():
            if self._delete(self._oldest.pop()):
                return True
        with self._lock:
            self._days.clear()  # it is somebody else's doing that they are gone
        return False

    def _find_oldest(self) -> bool:
        """Name the next files to go, the oldest last; some at once, for a day may have very many."""
        for folder in _day_folders(self.folder):
            self._oldest = heapq.nsmallest(_BATCH, self._files(folder))[::-1]
            if self._oldest:
                return True
            self._forget(folder)
        return False

    def _delete(self, path: Path) -> bool:
        """Delete a file and what belongs to it (the same name with another ending)."""
        done = False
        for each in {path, *(path.with_suffix(suffix) for suffix in _SUFFIXES)}:
            size = _size(each)
            with contextlib.suppress(OSError):
                each.unlink()
                done = True
                self.deleted += 1
                with self._lock:
                    day = self._days.get(path.parent.name)
                    if day is not None:
                        day.bytes = max(0, day.bytes - size)
        self._forget(path.parent)
        return done

    def _forget(self, folder: Path) -> None:
        """Drop a day that is empty."""
        with contextlib.suppress(OSError):
            folder.rmdir()  # fails unless it is empty
            with self._lock:
                self._days.pop(folder.name, None)

    def _files(self, folder: Path) -> Iterator[Path]:
        """Those that are whole, in any order."""
        with contextlib.suppress(OSError):
            yield from folder.glob(f"{self.kind}-[0-9][0-9][0-9][0-9][0-9][0-9]*")


def _day_folders(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(p for p in folder.iterdir() if _DAY.fullmatch(p.name) and p.is_dir())
    return []


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
