"""What sinks that keep films and pictures share: files begin, go on and end, whatever the disk does."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecam.errors import SinkError, UsageError
from edgecam.mp4 import Mp4Writer
from edgecam.quantities import parse_bytes, parse_duration, show_bytes, show_duration
from edgecam.registry import URI
from edgecam.retention import Limits, Retention
from edgecam.sinks.coding import Unit
from edgecam.storage import Part, Store

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at the disk
_RETRY_SECONDS = 5.0  # after the disk failed
_SWEEP_SECONDS = 60.0
_SCAN_SECONDS = 3600.0
_CLOSE_SECONDS = 3.0


class Movie:
    """An MP4 file that is being written.

    Args:
        part: where to.
        first: its first picture, a key picture.
    """

    def __init__(self, part: Part, first: Unit) -> None:
        self.part = part
        self.track = first.track
        self.start = first
        self.last = first.at
        self.bytes = 0
        self._mp4 = Mp4Writer(part.file, first.track, first.wall)
        self.add(first)

    @property
    def seconds(self) -> float:
        return self.last - self.start.at

    @property
    def plays(self) -> bool:
        """There is something in the file."""
        return self._mp4.seconds > 0

    def add(self, unit: Unit) -> None:
        """Raises: OSError."""
        self._mp4.add(unit.at - self.start.at, unit.key, unit.data)
        self.last = unit.at
        self.bytes += len(unit.data)

    def close(self) -> None:
        """Write what waits, index and length. Raises: OSError."""
        self._mp4.close()


class Trouble:
    """What is wrong for now: told once when it comes, and when it has gone.

    Args:
        folder: to be named.
        report: tells the user one line.

    Attributes:
        words: "" while nothing is wrong.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self.words = ""
        self._folder = folder
        self._report = report
        self._retry = 0.0

    @property
    def pause(self) -> bool:
        """It is too early to try again."""
        return time.monotonic() < self._retry

    def stumble(self, error: OSError) -> None:
        """The disk failed."""
        log.debug("archive", exc_info=error)
        self._retry = time.monotonic() + _RETRY_SECONDS
        self.say(f"cannot write to {self._folder} ({error.strerror or error})")

    def say(self, words: str) -> None:
        if words != self.words:
            self._report(words)
        self.words = words

    def over(self) -> None:
        """It works again."""
        if self.words:
            self._report(f"{self._folder}: goes on")
        self.words = ""


class Archive:
    """A folder of one kind of files, kept within its limits. For one thread.

    Args:
        folder, kind: see :class:`edgecam.storage.Store`.
        limits: what is kept.
        report: tells the user one line.

    Attributes:
        trouble: why nothing is kept for now, or "".
    """

    def __init__(self, folder: Path, kind: str, limits: Limits, report: Callable[[str], None]) -> None:
        self._retention = Retention(folder, kind, limits)
        self._store = Store(folder, kind, self._done)
        self._report = report
        self._trouble = Trouble(folder, report)
        self._looked = self._swept = self._scanned = 0.0

    @property
    def trouble(self) -> str:
        return self._trouble.words or self._store.trouble

    def open(self) -> None:
        """Make the folder and clear up in it.

        Raises:
            SinkError: it cannot be written.
        """
        folder = self._store.folder
        try:
            kept = self._store.open()
        except OSError as error:
            raise SinkError(
                f"cannot write to {folder} ({error.strerror})", "name a folder that you may write to"
            ) from error
        if kept:
            self._report(f"{folder}: {kept} file{'s' * (kept > 1)} of a run that was cut off kept")
        self._retention.scan()
        self._swept = self._scanned = time.monotonic()
        self._retention.sweep()

    def begin(self, unit: Unit, name: str = "") -> Movie | None:
        """A new film that begins with a picture; None while the disk does not take one."""
        part = self._create(unit.wall, name, ".mp4")
        if part is None:
            return None
        try:
            movie = Movie(part, unit)
        except OSError as error:
            part.abandon()
            self._trouble.stumble(error)
            return None
        self._trouble.over()
        return movie

    def add(self, movie: Movie, unit: Unit) -> bool:
        """Go on with a film; False if it ended here (what is there plays)."""
        if not self._look(movie):
            return False
        try:
            movie.add(unit)
        except OSError as error:
            self._trouble.stumble(error)
            self.end(movie)
            return False
        return True

    def end(self, movie: Movie) -> Path:
        """Finish a film; its path once it is whole."""
        try:
            movie.close()
        except OSError as error:
            self._trouble.stumble(error)
        if movie.plays:
            self._store.finish(movie.part)
        else:
            movie.part.abandon()
        return movie.part.path

    def write(self, path: Path, data: bytes) -> None:
        """A small file beside another."""
        self._store.write(path, data)

    def place(self, wall: float, name: str, suffix: str) -> Path | None:
        """A free name for a small file; None while the disk does not take one."""
        part = self._create(wall, name, suffix)
        if part is None:
            return None
        part.abandon()
        self._trouble.over()
        return part.path

    def _create(self, wall: float, name: str, suffix: str) -> Part | None:
        if self._trouble.pause or not self._room(0):
            return None
        try:
            return self._store.create(wall, name, suffix)
        except OSError as error:
            self._trouble.stumble(error)
            return None

    def tend(self) -> None:
        """Delete what is too old; call it now and then."""
        now = time.monotonic()
        if now - self._scanned >= _SCAN_SECONDS:
            self._scanned = now
            self._retention.scan()
        if now - self._swept >= _SWEEP_SECONDS:
            self._swept = now
            self._room(0)

    def close(self) -> None:
        """Finish what waits."""
        if not self._store.close(_CLOSE_SECONDS):
            self._report(f"{self._store.folder}: the disk is slow, the next run finishes the last file")

    def _done(self, path: Path, size: int) -> None:
        """A file became whole; on the store's thread."""
        self._retention.add(path, size)
        self._retention.sweep()

    def _look(self, movie: Movie) -> bool:
        """Now and then: is the file still there, is there room?"""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return True
        self._looked = now
        if movie.part.gone:
            movie.part.abandon()
            self._report(f"{movie.part.path}: somebody deleted it; a new file is begun")
            return False
        self._store.keep_safe(movie.part)
        if not self._room(movie.bytes):
            self.end(movie)
            return False
        self.tend()
        return True

    def _room(self, coming: int) -> bool:
        try:
            if self._retention.sweep(coming):
                return True
            least = show_bytes(self._retention.least_free)
        except OSError as error:
            self._trouble.stumble(error)
            return False
        self._trouble.say(f"nothing is kept: less than {least} free on the disk of {self._store.folder}")
        return False


def limit_options() -> dict[str, tuple[Callable[[str], Any], Any]]:
    """The options of a URI that make :class:`~edgecam.retention.Limits`."""
    return {"age": (parse_duration, 7 * 86400.0), "size": (parse_bytes, 0), "free": (parse_bytes, None)}


def make_limits(options: dict[str, Any]) -> Limits:
    return Limits(options["age"], options["size"], options["free"])


def limit_words(limits: Limits) -> str:
    """What is kept, for people."""
    words = [f"for {show_duration(limits.age)}"] if limits.age else ["for ever"]
    words += [f"up to {show_bytes(limits.size)}"] if limits.size else []
    return f"kept {', '.join(words)}"


def folder_of(uri: URI) -> Path:
    """The folder that a URI names.

    Raises:
        UsageError: it names none.
    """
    if not uri.path:
        raise UsageError(f"{uri.safe} names no folder", f"write {uri.scheme}:FOLDER")
    return Path(uri.path).expanduser()


def spoken(name: str) -> str:
    """A name as a part of a file's name: letters, digits and ``_`` of any script."""
    kept = "".join(c if c.isalnum() else "_" for c in name)[:40].strip("_")
    with contextlib.suppress(UnicodeEncodeError):
        kept.encode()
        return kept
    return kept.encode("ascii", "replace").decode().replace("?", "_")
