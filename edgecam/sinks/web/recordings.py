"""What ``clips:`` and ``snapshots:`` kept of events, read-only.

Beside each kept file lies a ``.json`` that names its events (``docs/recording.md``). What such a file names
is in the index, and what is not in the index is not served: no path from a request ever reaches the disk.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Events that the index knows; the newest.
KEPT = 500
_AGE = 1.0  # seconds for which what was found is taken for granted
_LARGEST = 4 << 20  # bytes of a file that names events
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = re.compile(r"(clip|snapshot)-(\d{6})[\w.-]{0,120}\.json")
_ENDINGS = {"clip": ".mp4", "snapshot": ".jpg"}


class Recordings:
    """The index of what is kept. Any thread may ask.

    Args:
        folders: where the sinks keep things.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self._lock = threading.Lock()
        self._looked = -1e18
        self._read: dict[Path, tuple[int, list[dict[str, Any]]]] = {}
        self._files: dict[str, Path] = {}
        self._events: dict[str, dict[str, Any]] = {}

    def events(self, limit: int) -> list[dict[str, Any]]:
        """Events with what is kept of them, newest first: ``{"event": …, "snapshot": …, "clip": …}``."""
        with self._lock:
            self._look()
            found = sorted(self._events.values(), key=_when, reverse=True)[:limit]
            return [dict(entry) for entry in found]

    def file(self, key: str) -> Path | None:
        """The file of a key that :meth:`events` named, None for any other."""
        with self._lock:
            self._look()
            path = self._files.get(key)
        if path is None or path.is_symlink() or not path.is_file():
            return None
        return path

    def _look(self) -> None:
        if time.monotonic() - self._looked < _AGE:
            return
        self._looked = time.monotonic()
        self._files, self._events = {}, {}
        known: dict[Path, tuple[int, list[dict[str, Any]]]] = {}
        for number, folder in enumerate(self.folders):
            for path in _newest(folder):
                with contextlib.suppress(OSError, ValueError):
                    known[path] = self._about(path)
                    self._add(number, path, known[path][1])
        self._read = known

    def _about(self, path: Path) -> tuple[int, list[dict[str, Any]]]:
        """The events that a file names; read again only if it has changed."""
        stat = path.lstat()
        before = self._read.get(path)
        if before is not None and before[0] == stat.st_mtime_ns:
            return before
        if path.is_symlink() or stat.st_size > _LARGEST:
            raise ValueError("not one of ours")
        found = json.loads(path.read_bytes())
        events = found.get("events", [found.get("event")]) if isinstance(found, dict) else []
        return stat.st_mtime_ns, [event for event in events if _is_event(event)]

    def _add(self, number: int, path: Path, events: list[dict[str, Any]]) -> None:
        kind = path.name.partition("-")[0]
        media = path.with_suffix(_ENDINGS[kind])
        if media.is_symlink() or not media.is_file():
            return
        key = f"{number}/{path.parent.name}/{media.name}"
        self._files[key] = media
        for event in events:
            entry = self._events.setdefault(event["id"], {"event": event, "snapshot": None, "clip": None})
            entry["event"] = max(entry["event"], event, key=lambda e: (e["phase"] == "end", e["seconds"]))
            entry[kind] = entry[kind] or f"kept/{key}"


def _newest(folder: Path) -> Iterator[Path]:
    """The newest files that name events, at most :data:`KEPT` of each kind; days are looked at one by one."""
    left = dict.fromkeys(_ENDINGS, KEPT)
    days: list[Path] = []
    with contextlib.suppress(OSError):
        days = sorted((d for d in folder.iterdir() if _DAY.fullmatch(d.name)), reverse=True)
    for day in days:
        if day.is_symlink() or not any(left.values()):
            continue
        with contextlib.suppress(OSError):
            names = [p for p in day.iterdir() if _NAME.fullmatch(p.name)]
            for kind in _ENDINGS:
                mine = (p for p in names if p.name.startswith(kind))
                found = heapq.nlargest(left[kind], mine, key=lambda p: p.name.split("-")[1:])
                left[kind] -= len(found)
                yield from found


def _is_event(value: object) -> bool:
    """What a sink of ours wrote; anybody may have put a file there."""
    if not isinstance(value, dict):
        return False
    start = value.get("start")
    return (
        isinstance(value.get("id"), str)
        and all(isinstance(value.get(name), str) for name in ("phase", "rule", "label", "kind"))
        and isinstance(value.get("seconds"), int | float)
        and isinstance(start, dict)
        and isinstance(start.get("time"), int | float)
    )


def _when(entry: dict[str, Any]) -> float:
    return float(entry["event"]["start"]["time"])
