"""A run as a process: signals, systemd, and a line in the journal for each change of state.

SIGINT and SIGTERM end it the same way, a second one forces. Under a service manager SIGHUP takes new
settings; elsewhere it means that the terminal is gone, and ends the run like SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from edgecam import journal
from edgecam.config import Settings
from edgecam.errors import EdgecamError
from edgecam.notify import Notifier
from edgecam.pipeline import Pipeline
from edgecam.types import Status

STATUS_EVERY = 2.0
FEED_EVERY = 1.0

_PRIORITIES = {"degraded": journal.WARNING, "waiting": journal.WARNING}


class Service:
    """What the process tells whoever looks after it, and what it is told by signals.

    Args:
        report: tells the user one line.
        reload: reads and checks the settings anew; False if they are no good (it has said why then).
        notifier: None for the one of this process.

    Attributes:
        stopped: the signal that ended the run, or "".
        ready: the run in hand has given a result, or waits for its camera.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        reload: Callable[[], bool] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.stopped = ""
        self.ready = False
        self._report = report
        self._reload = reload
        self._notifier = notifier or Notifier()
        self._reload_asked = False
        self._pipeline: Pipeline | None = None
        self._state = ""
        self._reasons: set[str] = set()
        self._work = -1
        self._fed_at = self._status_at = 0.0

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While inside, signals are ours. Must be entered in the main thread: only that one receives them."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        # Without a manager that sends it to reload, nohup(1) may want the run to live on.
        if self._notifier.wanted or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        previous = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._notifier.wanted and self._reload is not None:
            self._reload_asked = True
            return
        if self.stopped:
            os.write(sys.stderr.fileno(), b"edgecam: forced to stop\n")
            os._exit(128 + number)
        self.stopped = signal.Signals(number).name
        self._notifier.stopping()
        if self._pipeline is None:
            # Nothing runs yet that could be finished: leave whatever is being loaded.
            raise KeyboardInterrupt
        self._pipeline.stop(self.stopped)

    def ask_reload(self) -> None:
        """Take new settings soon, as for SIGHUP. Any thread may ask."""
        self._reload_asked = self._reload is not None

    @contextmanager
    def running(self, pipeline: Pipeline) -> Iterator[None]:
        """While inside, this is the pipeline that signals stop."""
        self._pipeline = pipeline
        self.ready = False
        self._work = -1
        try:
            yield
        finally:
            self._pipeline = None

    def watch(self, status: Status, work: int) -> None:
        """Take note of how the run is; see :class:`edgecam.pipeline.Pipeline`."""
        now = time.monotonic()
        changed = self._tell(status)
        if not self.ready and (status.frames or status.state in ("waiting", "paused")):
            self.ready = True
            self._notifier.ready()
        if changed or now - self._status_at >= STATUS_EVERY:
            self._status_at = now
            self._notifier.status(status_line(status))
        if work != self._work and now - self._fed_at >= FEED_EVERY:
            self._work, self._fed_at = work, now
            self._notifier.alive()
        if self._reload_asked and self.ready:
            self._reload_asked = False
            self._take_settings()

    def _take_settings(self) -> None:
        self._notifier.reloading()
        if self._reload is not None and self._pipeline is not None and self._reload():
            self._pipeline.stop("new settings")
        else:
            self._notifier.ready()

    def _tell(self, status: Status) -> bool:
        """One line a change of state, or a reason that has not been told since; True if there was one."""
        if status.state != self._state:
            self._reasons.clear()
        elif status.message in self._reasons:
            return False
        self._reasons.add(status.message)
        self._state = status.state
        if status.state in ("starting", "ended"):
            return True
        fields = {
            "MESSAGE_ID": journal.STATE_CHANGE,
            "EDGECAM_STATE": status.state,
            "EDGECAM_REASON": status.message,
            "EDGECAM_SOURCE": status.source,
            "EDGECAM_MODEL": status.model,
            "EDGECAM_DEVICE": status.device,
        }
        if not journal.send(status.words, _PRIORITIES.get(status.state, journal.NOTICE), fields):
            self._report(status.words)
        return True


class Renewal:
    """Settings that are read anew while a run goes on.

    Args:
        read: gives them.
        check: raises what can be seen to be wrong with them.
        report: tells the user one line.
    """

    def __init__(
        self, read: Callable[[], Settings], check: Callable[[Settings], None], report: Callable[[str], None]
    ) -> None:
        self._read = read
        self._check = check
        self._report = report
        self._new: Settings | None = None

    def look(self) -> bool:
        """Read and check them; False, with a line, if they are no good."""
        try:
            new = self._read()
            self._check(new)
        except EdgecamError as error:
            self._report(f"new settings refused, the old ones stay: {error}")
            return False
        self._new = new
        return True

    def take(self) -> Settings | None:
        """What :meth:`look` found, once."""
        new, self._new = self._new, None
        return new


def status_line(status: Status) -> str:
    """One line for ``systemctl status``: the state, and while it runs, how fast."""
    if status.state not in ("running", "degraded"):
        return status.words
    # A rate takes a second frame.
    rate = f"{status.inference_fps:.1f} FPS, " if status.inference_fps else ""
    return (
        f"{status.words}: {rate}{status.model} on {status.device}, "
        f"{status.inference_ms:.1f} ms, {status.source}"
    )
