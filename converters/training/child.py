"""The process that :mod:`converters.training.apart` starts."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from converters.steps.base import Advance
from edgecam.errors import EdgecamError

Send = Callable[[Mapping[str, Any]], None]
_OFTEN = 0.1  # seconds between two messages of progress


class Messages:
    """A report (:class:`converters.steps.base.Report`) that is sent."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def line(self, text: str) -> None:
        self._send({"line": text})

    def warn(self, text: str) -> None:
        self._send({"warn": text})

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        self._send({"begin": what})
        last = 0.0

        def advance(done: int, total: int | None) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > _OFTEN or done == total:
                last = now
                self._send({"progress": [done, total]})

        try:
            yield advance
        finally:
            self._send({"end": what})


def answer(request: Mapping[str, Any], send: Send) -> None:
    """Run the function; its result or its error is sent."""
    try:
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        send({"result": function(Messages(send), **request["arguments"])})
    except EdgecamError as error:
        send(_error(type(error).__name__, error.message, error.remedy))
    except MemoryError:
        send(_error("EdgecamError", "out of memory", "a smaller batch, or a machine with more memory"))
    except Exception as error:
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0][:300]
        if "OOM" in first or "ResourceExhausted" in type(error).__name__:
            send(_error("EdgecamError", "out of memory", "a smaller batch, or a machine with more memory"))
        else:
            send(_error("EdgecamError", f"{type(error).__name__}: {first}", "-v shows all"))


def _error(kind: str, message: str, remedy: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "remedy": remedy}}


def _watch() -> None:
    """End with the parent: it has closed the pipe or died."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no message
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    lock = threading.Lock()

    def send(message: Mapping[str, Any]) -> None:
        with lock:
            out.write(json.dumps(message) + "\n")
            out.flush()

    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    answer(request, send)
    out.flush()
    os._exit(0)  # TensorFlow's own threads take seconds to end


if __name__ == "__main__":
    main()
