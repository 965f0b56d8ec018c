"""A file that begins anew when it is large or old: ``out.jsonl``; before it ``out.jsonl.1``, ``.2``, ..."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Turn:
    """When to begin anew.

    Attributes:
        size: bytes, 0 for no bound.
        age: seconds, 0 for no bound.
        keep: files that are kept beside the one in use.
    """

    size: int = 0
    age: float = 0.0
    keep: int = 5

    @property
    def wanted(self) -> bool:
        return bool(self.size or self.age)


class RotatingFile:
    """Lines to a file, continued if it exists. A line is never split over two files.

    Args:
        path: the file in use.
        turn: when to begin anew.
        overwrite: begin with an empty file.
        clock: monotonic seconds; the wall clock says only how old a file is that is continued.

    Attributes:
        turned: how often it began anew.

    Raises:
        OSError: it cannot be opened; from :meth:`write` too.
    """

    def __init__(
        self, path: Path, turn: Turn, overwrite: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.turned = 0
        self._path = path
        self._turn = turn
        self._clock = clock
        self._file = path.open("wb" if overwrite else "ab")
        self._size = self._file.tell() if self._file.seekable() else 0
        self._began = clock() - (self._age() if self._size else 0.0)
        self._end_last_line()

    def write(self, lines: bytes) -> None:
        """Add whole lines."""
        late = self._turn.age and self._clock() - self._began >= self._turn.age
        large = self._turn.size and self._size + len(lines) > self._turn.size
        if self._size and (late or large):
            self._begin_anew()
        self._file.write(lines)
        self._size += len(lines)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _begin_anew(self) -> None:
        self._file.close()
        for number in range(self._turn.keep, 0, -1):
            older = self._numbered(number - 1)
            with contextlib.suppress(FileNotFoundError):
                older.replace(self._numbered(number))
        if not self._turn.keep:
            self._path.unlink(missing_ok=True)
        for number in range(self._turn.keep + 1, self._turn.keep + 1000):  # kept by earlier settings
            if not self._numbered(number).exists():
                break
            self._numbered(number).unlink()
        self._file = self._path.open("ab")
        self._size = 0
        self._began = self._clock()
        self.turned += 1

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _age(self) -> float:
        """How old a file is that is continued, by the time in its first line; 0 where that is in no past."""
        try:
            with self._path.open("rb") as reader:
                first = json.loads(reader.readline(1 << 20))
            return max(0.0, time.time() - float(first["time"]))
        except (OSError, ValueError, TypeError, KeyError):
            return 0.0

    def _end_last_line(self) -> None:
        """A run that was killed may have left half a line: end it, so that the next is whole."""
        if not self._size:
            return
        with self._path.open("rb") as reader:
            reader.seek(-1, os.SEEK_END)
            if reader.read(1) != b"\n":
                self._file.write(b"\n")
                self._size += 1
