"""``jsonl:-`` or ``jsonl:results.jsonl?overwrite=no``: JSON lines of frames and of events.

A frame's line is :meth:`edgecam.types.Packet.record`, a step's :meth:`edgecam.events.Event.record`, both with
``schema`` before it; ``docs/jsonl.md`` explains each key. While a camera is away there is one line for each
change of state, without results. A file that exists is continued, unless ``overwrite`` is on. ``-`` is
standard output; when its reader goes away, as in ``| head``, the run ends.

Options:
    overwrite: begin with an empty file.
    size, age: of the file, over which it becomes ``results.jsonl.1`` and a new one is begun.
    keep: how many of those are kept.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from edgecam.errors import SinkError, UsageError
from edgecam.quantities import parse_bytes, parse_duration
from edgecam.registry import URI, parse_bool
from edgecam.rotation import RotatingFile, Turn
from edgecam.sinks.base import SinkContext
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Packet

log = logging.getLogger(__name__)

SCHEMA = 1


class JsonlSink(WorkerSink):
    """Writes packets as lines of JSON, UTF-8. Flushed line by line for a live source."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=64)
        if not uri.path:
            raise UsageError(f"{uri.safe} names no file", "write jsonl:- or jsonl:results.jsonl")
        self._path = None if uri.path == "-" else Path(uri.path)
        options = uri.options(
            overwrite=(parse_bool, False), size=(parse_bytes, 0), age=(parse_duration, 0.0), keep=(_count, 5)
        )
        self._overwrite: bool = options["overwrite"]
        self._turn = Turn(options["size"], options["age"], options["keep"])
        if self._path is None and self._turn.wanted:
            raise UsageError(f"{uri.safe}: standard output does not begin anew", "leave size and age out")
        self._file: BinaryIO | RotatingFile | None = None
        self._state = ""

    def _open(self, context: SinkContext) -> None:
        if self._path is None:
            self._file = _standard_output()
            return
        try:
            self._file = RotatingFile(self._path, self._turn, self._overwrite)
        except OSError as error:
            raise SinkError(
                f"cannot write {self._path} ({error.strerror})",
                "name a file in a folder that you may write to",
            ) from error

    def _handle(self, packet: Packet) -> None:
        lines = [_line({"schema": SCHEMA, **event.record()}) for event in packet.events]
        # A placard comes every second; its first says it all.
        if packet.result is not None or packet.status.state not in (self._state, "ended"):
            lines.insert(0, encode(packet))
            self._state = packet.status.state
        assert self._file is not None and self._context is not None
        if not lines:
            return
        try:
            self._file.write(b"".join(lines))
            if self._context.live:
                self._file.flush()
        except BrokenPipeError:
            self._reader_gone()

    def _idle(self) -> None:
        assert self._file is not None
        try:
            self._file.flush()
        except BrokenPipeError:
            self._reader_gone()

    def _reader_gone(self) -> None:
        assert self._context is not None
        if not self._done:
            self._end()
            self._context.stop(f"the reader of {self.name} went away")

    def _finish(self) -> None:
        assert self._file is not None
        try:
            self._file.close()
        except BrokenPipeError:
            log.debug("%s: the last lines had no reader", self.name)


def encode(packet: Packet) -> bytes:
    """A packet as its line, newline included. Numbers that JSON has not (NaN) become null."""
    record: dict[str, Any] = {"schema": SCHEMA, **packet.record()}
    if packet.result is None or packet.status.message:
        record["message"] = packet.status.message
    return _line(record)


def _line(record: dict[str, Any]) -> bytes:
    try:
        text = _compact(record)
    except ValueError:
        text = _compact(_finite(record))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return _compact(_finite(record), ascii_only=True).encode() + b"\n"


def _compact(record: Any, ascii_only: bool = False) -> str:
    return json.dumps(record, ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _standard_output() -> BinaryIO:
    """A writer of its own onto standard output, so that a broken pipe is not met again when Python exits."""
    try:
        sys.stdout.flush()
        return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    except (OSError, ValueError, AttributeError) as error:
        raise SinkError("there is no standard output", "write jsonl:FILE") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise ValueError("expected a number from 0 to 10000")
    return int(text)
