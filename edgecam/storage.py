"""Files that are whole or not there: recordings by the day, made safe on a thread of their own.

::

    FOLDER/2026-11-25/clip-140500-door.mp4          done: on the disk, whole
    FOLDER/2026-11-25/.clip-141000-door.mp4.part    being written; locked while its writer lives

A part is synced every few seconds, and at its end synced once more and renamed. What a power cut or a kill
leaves are parts: the next run keeps what plays of them and throws the rest away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import BinaryIO

from edgecam import whole
from edgecam.mp4 import whole_length

log = logging.getLogger(__name__)

SYNC_SECONDS = 5.0
_WAITING = 64  # files to be made safe


class Part:
    """A file being written.

    Attributes:
        path: its name once it is whole.
        file: open for writing, unbuffered.
    """

    def __init__(self, path: Path) -> None:
        """Raises: OSError, FileExistsError too."""
        self.path = path
        self.part = path.with_name(f".{path.name}.part")
        self.file: BinaryIO = self.part.open("x+b", buffering=0)
        self._lock = threading.Lock()  # the file is closed by the thread that syncs it
        with contextlib.suppress(OSError):  # some network file systems know no locks
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def gone(self) -> bool:
        """Somebody deleted it (there may be another of its name)."""
        try:
            return not os.path.samestat(self.part.stat(), os.fstat(self.file.fileno()))
        except (OSError, ValueError):
            return True

    def sync(self) -> None:
        with self._lock:
            if not self.file.closed:
                os.fdatasync(self.file.fileno())

    def commit(self) -> int:
        """Give it its name for good; its size in bytes.

        Raises:
            OSError: the disk failed, or somebody deleted it.
        """
        with self._lock, self.file:
            os.fsync(self.file.fileno())
            size = os.fstat(self.file.fileno()).st_size
            if self.gone:
                raise FileNotFoundError(errno.ENOENT, "somebody deleted it")
            self.part.rename(self.path)
        whole.sync_folder(self.path.parent)
        return size

    def abandon(self) -> None:
        """Throw it away."""
        with self._lock, contextlib.suppress(OSError), self.file:
            if not self.gone:
                self.part.unlink()


class Store:
    """One kind of files in a folder, one folder a day.

    Args:
        folder: made if absent.
        kind: the first word of each file's name.
        done: told each file that became whole, with its size; called on the store's thread.

    Attributes:
        trouble: why a file could not be made safe, or "".
    """

    def __init__(self, folder: Path, kind: str, done: Callable[[Path, int], None]) -> None:
        self.folder = folder
        self.kind = kind
        self.trouble = ""
        self._done = done
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._synced = 0.0

    def open(self) -> int:
        """Make the folder, see that it can be written, keep what an earlier run left; how many files that is.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        probe = self.folder / f".{self.kind}-{os.getpid()}.probe"
        probe.write_bytes(b"edgecam")
        probe.unlink()
        kept = sum(map(_salvage, sorted(self.folder.glob(f"*/.{self.kind}-*.part"))))
        self._thread = threading.Thread(target=self._run, name=f"{self.kind} files", daemon=True)
        self._thread.start()
        return kept

    def create(self, wall: float, name: str = "", suffix: str = ".mp4") -> Part:
        """A new file, named by a moment (seconds since 1970) in local time.

        Raises:
            OSError: it cannot be made.
        """
        moment = time.localtime(wall)
        folder = self.folder / time.strftime("%Y-%m-%d", moment)
        stem = f"{self.kind}-{time.strftime('%H%M%S', moment)}" + (f"-{name}" if name else "")
        folder.mkdir(parents=True, exist_ok=True)
        for number in count():  # the hour that comes twice, a clock that was set back
            path = folder / (f"{stem}.{number}{suffix}" if number else f"{stem}{suffix}")
            with contextlib.suppress(FileExistsError):
                if not path.exists():
                    return Part(path)
        raise AssertionError("unreachable")

    def keep_safe(self, part: Part) -> None:
        """Sync a file that is being written, now and then."""
        now = time.monotonic()
        if now - self._synced >= SYNC_SECONDS and self._jobs.empty():
            self._synced = now
            self._put(part.sync)

    def finish(self, part: Part) -> None:
        """Make a file whole, later and elsewhere: a slow disk does not stop the pictures."""

        def commit() -> None:
            self._done(part.path, part.commit())
            self.trouble = ""

        self._put(commit)

    def write(self, path: Path, data: bytes) -> None:
        """Write a small file whole beside others, or in place of one of that name."""

        def commit() -> None:
            temporary = path.with_name(f".{path.name}.part")
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            whole.sync_folder(path.parent)
            self._done(path, len(data))

        self._put(commit)

    def close(self, timeout: float) -> bool:
        """Finish what waits; False if that takes too long (the next run does the rest)."""
        thread = self._thread
        if thread is None:
            return True
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=timeout)
        thread.join(timeout)
        return not thread.is_alive()

    def _put(self, job: Callable[[], None]) -> None:
        try:
            self._jobs.put(job, timeout=1.0)
        except queue.Full:
            self.trouble = f"{self.folder}: the disk is too slow"

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                log.debug("storage", exc_info=error)
                self.trouble = f"a file in {self.folder} could not be finished ({why})"


def _salvage(part: Path) -> bool:
    """Keep what plays of a part that nobody writes any more; whether there is something."""
    final = part.with_name(part.name[1:].removesuffix(".part"))
    try:
        with part.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its writer lives
            length = whole_length(file) if final.suffix == ".mp4" else 0
            if length:
                file.truncate(length)
                os.fsync(file.fileno())
        if length and not final.exists():
            part.rename(final)
            whole.sync_folder(final.parent)
            return True
        part.unlink()
    except OSError as error:
        log.debug("left alone: %s (%s)", part, error)
    return False
