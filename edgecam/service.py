"""A pipeline as a process: SIGINT and SIGTERM end it the same way, a second one forces."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edgecam.pipeline import Pipeline

# timeout(1), terminals and supervisors signal the process and its group: two signals, one wish.
ONE_WISH = 0.5


@contextmanager
def stop_on_signals(pipeline: Pipeline) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM stop the pipeline; a second signal ends the process at once.

    Must be entered in the main thread: only that one receives signals.
    """
    asked = math.inf

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        if now - asked > ONE_WISH:
            os.write(sys.stderr.fileno(), b"edgecam: forced to stop\n")
            os._exit(128 + number)
        asked = min(asked, now)
        pipeline.stop(signal.Signals(number).name)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
