"""One source and the thread that reads it: opens it, hands its frames on, opens it again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from edgecam.errors import EdgecamError, SourceError, SourceLostError
from edgecam.sources.base import Source
from edgecam.types import Frame, State

log = logging.getLogger(__name__)

T = TypeVar("T")

BACKOFF_FIRST = 0.5
BACKOFF_MAX = 10.0
#: Seconds a thread that hangs is given to come out of its call once its source has been closed.
GRACE = 1.0


class Outlet(Protocol):
    """Where a reader's frames and words go."""

    def deliver(self, reader: Reader, frame: Frame) -> None:
        """Take a frame of a live source: the newest wins."""

    def prepare(self, frame: Frame) -> None:
        """Do what can be done for a frame of a file before there is room for it."""

    def offer(self, reader: Reader, frame: Frame, timeout: float) -> bool:
        """Take a frame of a file once there is room for it; False after ``timeout`` seconds."""

    def say(self, reader: Reader, state: State, message: str = "", lost: bool = False) -> None:
        """Note what the source is at."""

    def end(self, reader: Reader, error: EdgecamError | None) -> None:
        """Note that the thread ends, and why."""


class Reader:
    """A source with its thread.

    Args:
        source: not opened yet.
        outlet: where frames go.
        renew: makes the same source anew, or None.
        exit_on_loss: a source that is lost ends the thread.
        wait: a first opening that fails is tried again.
        heir_of: the reader that this one replaces; its thread is waited for a little, then a new source made.

    Attributes:
        began: monotonic seconds when the source was called, 0.0 while it is not in a call.
        pulse: grows with each call of the source that returned.
    """

    def __init__(
        self,
        source: Source,
        outlet: Outlet,
        *,
        renew: Callable[[], Source] | None = None,
        exit_on_loss: bool = False,
        wait: bool = False,
        heir_of: Reader | None = None,
    ) -> None:
        self.source = source
        self.began = 0.0
        self.pulse = 0
        self._outlet = outlet
        self._renew = renew
        self._exit_on_loss = exit_on_loss
        self._wait = wait
        self._heir_of = heir_of
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="edgecam-capture", daemon=True)

    def stop(self) -> None:
        """Ask the thread to end; does not wait."""
        self._stop.set()

    def leave(self) -> None:
        """Give the thread up, and close its source: some drivers then let the thread go."""
        self._stop.set()
        self.close_aside()

    def close_aside(self) -> None:
        """Close the source without waiting: a driver that blocks a read may block this too."""
        threading.Thread(target=self.source.close, name="edgecam-close", daemon=True).start()

    def _run(self) -> None:
        error: EdgecamError | None = None
        try:
            if self._heir_of is not None:
                self._succeed(self._heir_of.thread)
            self._live() if self.source.live else self._file()
        except EdgecamError as problem:
            error = problem
        except Exception as problem:  # not of the source's making
            log.debug("capture thread", exc_info=True)
            error = SourceError(f"{self.source.name}: {type(problem).__name__}: {problem}")
        finally:
            self.source.close()
            self._outlet.end(self, error)

    def _succeed(self, before: threading.Thread) -> None:
        """A camera that two have open is busy: the thread before comes out of its way first, if it can."""
        before.join(GRACE)
        if before.is_alive():
            log.warning("%s: a thread hangs in it and is left behind", self.source.name)
        if self._renew is not None:
            self.source = self._call(self._renew)

    def _call(self, function: Callable[[], T]) -> T:
        """Call the source so that others see how long it takes.

        Raises:
            EdgecamError: what the source says; an error that nobody thought of is a loss, so that a camera is
                tried again whatever its bytes lead to.
        """
        self.began = time.monotonic()
        try:
            return function()
        except EdgecamError:
            raise
        except Exception as problem:
            log.debug("%s", self.source.name, exc_info=True)
            raise SourceLostError(f"{self.source.name}: {type(problem).__name__}: {problem}") from problem
        finally:
            self.began = 0.0
            self.pulse += 1

    def _file(self) -> None:
        self._call(self.source.open)
        self._outlet.say(self, "running")
        while not self._stop.is_set():
            frame = self._call(self.source.read)
            if frame is None:
                return
            self._outlet.prepare(frame)
            while not self._outlet.offer(self, frame, 0.25):
                if self._stop.is_set():
                    return

    def _live(self) -> None:
        opens = self._open_first()
        while opens and not self._stop.is_set():
            try:
                while not self._stop.is_set():
                    frame = self._call(self.source.read)
                    if frame is None:
                        return
                    self._outlet.deliver(self, frame)
            except SourceError as error:
                if self._exit_on_loss or self._stop.is_set():
                    raise
                self._outlet.say(self, "waiting", str(error), lost=True)
                opens = self._reopen()

    def _open_first(self) -> bool:
        try:
            self._call(self.source.open)
        except SourceError as error:
            if not self._wait:
                raise
            self._outlet.say(self, "waiting", str(error))
            # Until it has opened once it is made anew each time: "the first camera found" may be another.
            return self._reopen(self._renew)
        self._outlet.say(self, "starting", f"waiting for the first picture of {self.source.name}")
        return True

    def _reopen(self, renew: Callable[[], Source] | None = None) -> bool:
        """True once the source is open again, False when a stop was asked."""
        pause = BACKOFF_FIRST
        while not self._stop.wait(pause):
            self._call(self.source.close)
            try:
                if renew is not None:
                    self.source = self._call(renew)
                self._call(self.source.open)
            except SourceError as error:
                self._outlet.say(self, "waiting", str(error))
                pause = min(pause * 2, BACKOFF_MAX)
                continue
            return True
        return False
