"""The segments that ``record:FOLDER`` kept, day by day, read-only.

As with clips, what is given out is what the index holds: no part of a request becomes a path.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from edgecam.mp4_head import Head, read_head

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = re.compile(r"segment-\d{6}(\.\d{1,4})?\.mp4")
#: Seconds after a change within which another may leave a folder's time as it is.
_COARSE = 2.0
_HEADS = 4096  # of films that are remembered


class _Folder(NamedTuple):
    changed: int  # nanoseconds, -1 where it must be looked into again
    films: dict[str, Path]  # by name, in their order


class Films:
    """Segments by day. Any thread may ask.

    Args:
        folders: where the sinks keep things.

    Attributes:
        kept: a sink of this run keeps segments.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.kept = bool(folders)
        self._folders = folders
        self._lock = threading.Lock()
        self._days: dict[tuple[int, str], _Folder] = {}
        self._heads: dict[Path, tuple[tuple[int, int], Head | None]] = {}

    def days(self) -> list[str]:
        """Days of which there are segments, newest first."""
        with self._lock:
            self._look()
            return sorted({day for (_, day), found in self._days.items() if found.films}, reverse=True)

    def of(self, day: str, limit: int) -> list[dict[str, Any]]:
        """A day's newest segments, newest first, ready for JSON. One that is still written is not there."""
        with self._lock:
            self._look()
            rows = [
                (name, f"kept/segments/{number}/{day}/{name}", path)
                for (number, of), found in self._days.items()
                if of == day
                for name, path in found.films.items()
            ]
            rows.sort(reverse=True)
            shown = (self._about(address, path) for _, address, path in rows)
            return list(islice((row for row in shown if row is not None), limit))

    def file(self, key: str) -> Path | None:
        """The file of an address that :meth:`of` named (without ``kept/``), None for any other."""
        with self._lock:
            self._look()
            path = next(
                (
                    path
                    for (number, day), found in self._days.items()
                    for name, path in found.films.items()
                    if key == f"segments/{number}/{day}/{name}"
                ),
                None,
            )
        return None if path is None or path.is_symlink() or not path.is_file() else path

    def _look(self) -> None:
        known, self._days = self._days, {}
        for number, folder in enumerate(self._folders):
            with contextlib.suppress(OSError):
                for day in folder.iterdir():
                    if _DAY.fullmatch(day.name) and not day.is_symlink():
                        key = (number, day.name)
                        self._days[key] = _listed(day, known.get(key))

    def _about(self, address: str, path: Path) -> dict[str, Any] | None:
        try:
            stat = path.lstat()
            head = self._head(path, (stat.st_mtime_ns, stat.st_size))
        except OSError:
            return None
        if head is None:
            return None
        return {
            "file": address,
            "start": head.began or stat.st_mtime,
            "seconds": round(head.seconds, 2) or None,
            "bytes": stat.st_size,
            "type": head.media_type,
        }

    def _head(self, path: Path, state: tuple[int, int]) -> Head | None:
        """What its header says, None of what is no film of ours; read again only if it has changed."""
        known = self._heads.get(path)
        if known is not None and known[0] == state:
            return known[1]
        head = None
        if not path.is_symlink():
            with contextlib.suppress(ValueError), path.open("rb") as file:
                head = read_head(file)
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[path] = (state, head)
        return head


def _listed(day: Path, known: _Folder | None) -> _Folder:
    """The segments of a day's folder; read again only if that has changed."""
    try:
        stat = day.stat()
        if known is not None and known.changed == stat.st_mtime_ns:
            return known
        films = {path.name: path for path in day.iterdir() if _NAME.fullmatch(path.name)}
    except OSError:
        return _Folder(-1, {})
    settled = time.time() - stat.st_mtime > _COARSE
    return _Folder(stat.st_mtime_ns if settled else -1, films)
