"""A bounded queue on the disk, for what must reach somebody who is away for now.

Entries leave in the order in which they came, whatever the clock does meanwhile, and are gone for good once
:meth:`Outbox.done` says that they have arrived: each is delivered at least once. Over its bounds the oldest
are dropped and counted. It is one SQLite file (https://sqlite.org/wal.html), synced with every ``put``: it
survives a kill and a power cut, and a file that does not is put aside.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam import state
from edgecam.errors import SinkError
from edgecam.quantities import parse_bytes, show_bytes
from edgecam.types import QueueState

log = logging.getLogger(__name__)

MEMORY = "memory"
#: What may wait unless somebody says otherwise: entries, bytes.
COUNT, SIZE = 10_000, 32 << 20
_OVERHEAD = 64  # bytes that an entry costs beside its topic and body, about
_BATCH = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits.

    Attributes:
        id: grows by one with each entry, over restarts too.
        topic: where it goes, in the words of who sends it.
        body: what is sent.
    """

    id: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    Attributes:
        count: entries that may wait.
        size: bytes that may wait, those of the file's own order not counted.
    """

    count: int = COUNT
    size: int = SIZE


class Outbox:
    """The queue. Any thread may call any method; one process at a time may hold the file.

    Args:
        place: a file, made if absent with its folders; :data:`MEMORY` for a queue that ends with the process.
        bounds: what may wait at most.
        report: tells the user one line.

    Attributes:
        waiting: entries that wait.
        size: their bytes.
        dropped: entries that were dropped since the start: the oldest, over the bounds, and what the disk
            did not take.
        delivered: entries that are done since the start.
        trouble: why the disk takes none for now, or "".

    Raises:
        SinkError: the file cannot be opened, or another process holds it.
    """

    def __init__(self, place: str | Path, bounds: Bounds, report: Callable[[str], None]) -> None:
        self.waiting = self.size = self.dropped = self.delivered = 0
        self.trouble = ""
        self._place = place
        self._bounds = bounds
        self._report = report
        self._said_full = self._closed = False
        self._lock = threading.Lock()
        self._base = self._open()
        self.waiting, self.size = self._base.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM entry"
        ).fetchone()
        with self._lock, self._guarded():
            self._make_room()

    def put(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Add (topic, body) pairs, in this order, as one step: all are on the disk when it returns."""
        rows = [(topic, body, len(topic.encode()) + len(body) + _OVERHEAD) for topic, body in items]
        if not rows:
            return
        surplus = max(0, len(rows) - self._bounds.count)  # would go at once
        with self._lock, self._guarded(lost=len(rows)):
            rows = rows[surplus:]
            self._base.executemany("INSERT INTO entry (topic, body, size) VALUES (?, ?, ?)", rows)
            self.waiting += len(rows)
            self.size += sum(size for _, _, size in rows)
            self._make_room(surplus)

    def first(self, count: int, after: int = 0) -> list[Entry]:
        """The oldest entries with an id over ``after``, up to ``count``; they stay until :meth:`done`."""
        found: list[Entry] = []
        with self._lock, self._guarded():
            rows = self._base.execute(
                "SELECT id, topic, body FROM entry WHERE id > ? ORDER BY id LIMIT ?", (after, count)
            )
            found.extend(Entry(*row) for row in rows)
        return found

    def done(self, ids: Sequence[int]) -> None:
        """These have arrived (or will never be taken): forget them."""
        with self._lock, self._guarded():
            for start in range(0, len(ids), _BATCH):
                part = ids[start : start + _BATCH]
                marks = ",".join("?" * len(part))
                self.delivered += self._delete(f"id IN ({marks})", part)

    @property
    def state(self) -> QueueState:
        """How it is now."""
        return QueueState(self.waiting, self.size, self.dropped, self.delivered)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._closed = True
            self._base.close()

    # -- under the lock

    def _make_room(self, surplus: int = 0) -> None:
        """Drop the oldest while there is too much. ``surplus`` never came in."""
        before = self.waiting
        while self.waiting > self._bounds.count or (self.size > self._bounds.size and self.waiting):
            over = max(1, self.waiting - self._bounds.count)
            if self.size > self._bounds.size:
                over = max(over, self.waiting // 100)  # few steps, not much more than must be
            row = self._base.execute("SELECT id FROM entry ORDER BY id LIMIT 1 OFFSET ?", (over - 1,))
            self._delete("id <= ?", row.fetchone())
        lost = before - self.waiting + surplus
        self.dropped += lost
        if lost and not self._said_full:
            self._said_full = True
            self._report(
                f"the queue is full ({self._bounds.count} entries or {show_bytes(self._bounds.size)}): "
                "the oldest are dropped"
            )
        elif self.waiting < self._bounds.count // 2 and self.size < self._bounds.size // 2:
            self._said_full = False

    def _delete(self, where: str, values: Sequence[int]) -> int:
        gone = self._base.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM entry WHERE {where}", values)
        count, size = gone.fetchone()
        self._base.execute(f"DELETE FROM entry WHERE {where}", values)
        self.waiting -= count
        self.size -= size
        return int(count)

    @contextlib.contextmanager
    def _guarded(self, lost: int = 0) -> Iterator[None]:
        """One transaction. What the disk does not take is dropped and counted; the trouble is said once."""
        before = self.waiting, self.size, self.dropped
        try:
            with self._base:
                yield
        except sqlite3.Error as error:
            if self._closed:
                return
            self.waiting, self.size, self.dropped = before
            self.dropped += lost
            if not self.trouble:
                self._report(f"the queue cannot be written ({error}): what comes is dropped")
            self.trouble = str(error)
        else:
            if lost:
                self.trouble = ""

    # -- the file

    def _open(self) -> sqlite3.Connection:
        if self._place == MEMORY:
            return _connect(":memory:")
        path = Path(self._place)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _connect(str(path))
        except sqlite3.OperationalError as error:
            raise _unusable(path, error) from error
        except sqlite3.DatabaseError as error:
            aside = path.with_name(path.name + ".broken")
            self._report(f"{path} is broken ({error}): put aside as {aside.name}, a new one is begun")
            return self._begin_anew(path, aside)
        except OSError as error:
            raise _unusable(path, error) from error

    def _begin_anew(self, path: Path, aside: Path) -> sqlite3.Connection:
        try:
            path.replace(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _connect(str(path))
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error


def _connect(place: str) -> sqlite3.Connection:
    if place != ":memory:" and not Path(place).exists():
        os.close(os.open(place, os.O_CREAT | os.O_RDWR, 0o600))  # events are nobody else's business
    base = sqlite3.connect(place, timeout=0.5, check_same_thread=False)
    try:
        base.execute("PRAGMA locking_mode=EXCLUSIVE")
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("PRAGMA journal_size_limit=4194304")
        with base:
            base.execute(_SCHEMA)
        if base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages contradict each other")
    except sqlite3.Error:
        base.close()
        raise
    return base


def _unusable(path: Path, error: Exception) -> SinkError:
    if "locked" in str(error):
        return SinkError(
            f"the queue {path} is in use by another edgecam",
            "give each its own device_id, or its own queue=FILE",
        )
    why = error.strerror if isinstance(error, OSError) else error
    return SinkError(
        f"the queue {path} cannot be used ({why})", "name a file with queue=FILE, or queue=memory"
    )


def outbox_options() -> dict[str, Any]:
    """The options of a URI that :func:`open_outbox` understands."""
    return {
        "queue": (str, ""),
        "queue_count": (_count, COUNT),
        "queue_size": (parse_bytes, SIZE),
    }


def open_outbox(
    options: Mapping[str, Any], scheme: str, what: Sequence[str], report: Callable[[str], None]
) -> Outbox:
    """The queue that a sink's options ask for.

    Args:
        options: read by :func:`outbox_options`.
        scheme: of the sink.
        what: where it sends to and who sends, without credentials; gives the file its name.

    Raises:
        SinkError: see :class:`Outbox`.
    """
    place = options["queue"] or default_place(scheme, *what)
    if place != MEMORY:
        place = Path(place).expanduser()
    return Outbox(place, Bounds(options["queue_count"], options["queue_size"]), report)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError("expected a number over 0")
    return int(text)


def default_place(scheme: str, *what: str) -> Path:
    """Where a queue lies unless somebody says otherwise: one file for each receiver and device.

    ``queues`` in :func:`edgecam.state.folder`.
    """
    words = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(what))[:60]
    mark = hashlib.sha256("\n".join(what).encode()).hexdigest()[:8]
    return state.folder() / "queues" / f"{scheme}-{words}-{mark}.sqlite"
