"""Keeping the interpreters' chatter off the terminal.

TensorFlow Lite writes to file descriptor 2 from C++ (``INFO: Created TensorFlow Lite XNNPACK delegate for
CPU.``) and offers no switch from Python.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

log = logging.getLogger(__name__)

_CHATTER = re.compile(rb"(INFO|VERBOSE|DEBUG): |I\d{4} |WARNING: All log messages before absl::InitializeLog")
_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to standard error inside; afterwards pass on all but the chatter.

    The chatter goes to the log at debug level, and so does everything where the block ends with an exception,
    which tells what went wrong. What other threads write meanwhile is delayed, not lost.
    """
    with _one_at_a_time, contextlib.ExitStack() as stack:
        held = stack.enter_context(tempfile.TemporaryFile())
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            real = os.dup(2)
        except (OSError, ValueError):  # a daemon without standard error: nothing to keep quiet
            yield
            return
        stack.callback(os.close, real)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(real, 2)
            held.seek(0)
            _pass_on(held.read(), real, failed)


def _pass_on(text: bytes, real: int, failed: bool) -> None:
    for line in text.splitlines(keepends=True):
        if failed or _CHATTER.match(line):
            log.debug("%s", line.decode("utf-8", "replace").strip())
        else:
            with contextlib.suppress(OSError):
                os.write(real, line)
