"""The frames of one source, and what to make of it when it is lost or hangs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecam.errors import EdgecamError, FrameError, SourceLostError
from edgecam.meters import RateMeter
from edgecam.reader import Reader
from edgecam.slot import LatestSlot
from edgecam.sources.base import Source
from edgecam.types import Frame, State

log = logging.getLogger(__name__)

#: Seconds that one call of a live source may take before its thread is left behind.
PATIENCE = 10.0
#: Threads that may hang at once. With more of them only a new process helps: nothing is tried any more then.
MOST_LEFT_BEHIND = 3
#: Seconds in which a new source must give a picture while the thread of the old one still hangs.
HOPE = 60.0


@dataclass(frozen=True, slots=True)
class CaptureState:
    """What the capture is at; replaced whole, so any thread may read it."""

    state: State = "starting"
    message: str = ""


class Capture:
    """Owns a source and the thread that reads it.

    A live source leaves each frame in ``slot``, where the newest wins; any other waits until its frame is
    taken. A live source that is lost is opened again with growing pauses (0.5 s to 10 s), unless
    ``exit_on_loss``.

    Some drivers block for ever. So somebody else (the main loop) calls :meth:`check` every so often: a thread
    that has been in one call for too long is left behind with its source, and a new thread opens a new one.

    Args:
        source: not opened yet.
        exit_on_loss: a source that is lost ends the capture.
        renew: makes the same source anew; without it a source that hangs cannot be replaced.
        wait: a first opening that fails is tried again; otherwise it ends the capture.

    Attributes:
        slot: where frames are left; closed when the capture has ended.
        error: what ended it, None if the source came to its end or was stopped.
        lost: how often the source was lost.
        opened: set once the source has opened, or failed to.
        ahead: called with each frame of a file while the one before is worked on, on the reading thread.
    """

    def __init__(
        self,
        source: Source,
        exit_on_loss: bool = False,
        *,
        renew: Callable[[], Source] | None = None,
        wait: bool = False,
    ) -> None:
        self.slot: LatestSlot[Frame] = LatestSlot()
        self.rate = RateMeter()
        self.error: EdgecamError | None = None
        self.lost = 0
        self.status = CaptureState(message="opening " + source.name)
        self.opened = threading.Event()
        self.ahead: Callable[[Frame], None] | None = None
        self._renew = renew
        self._exit_on_loss = exit_on_loss
        self._lock = threading.Lock()  # who the reader is, and what it says
        self._left: list[threading.Thread] = []
        self._gave_up = False
        self._hangs_since = 0.0
        self._before = (0, 0)  # pulse and broken pictures of the readers before
        self._next_seq = self._first_seq = 0
        self._reader = Reader(source, self, renew=renew, exit_on_loss=exit_on_loss, wait=wait)

    @property
    def source(self) -> Source:
        """The source in use; another object after a hang."""
        return self._reader.source

    @property
    def patience(self) -> float:
        """Seconds that the source itself takes for a picture at most, 0.0 if it does not say."""
        return float(getattr(self.source, "patience", 0.0))

    @property
    def pulse(self) -> int:
        """Grows with each call of the source that returns; stands still while it hangs."""
        return self._before[0] + self._reader.pulse

    @property
    def broken(self) -> int:
        """Pictures that could not be decoded and were skipped."""
        return self._before[1] + self.source.broken

    @property
    def left_behind(self) -> int:
        """Threads that still hang in a source that was given up."""
        self._left = [thread for thread in self._left if thread.is_alive()]
        return len(self._left)

    @property
    def hopeless(self) -> bool:
        """A thread hangs, and a source made anew did not help: only a new process may."""
        hangs = bool(self._hangs_since) and time.monotonic() - self._hangs_since > HOPE
        return self._gave_up or (hangs and self.left_behind > 0)

    @property
    def ended(self) -> bool:
        return self.slot.closed

    def start(self) -> None:
        self._reader.thread.start()

    def stop(self, timeout: float = 1.5) -> None:
        """Ask the thread to end, wait, close the source.

        A call that outlasts ``timeout`` is left behind (its thread is a daemon): some drivers block for ever.
        """
        reader = self._reader
        reader.stop()
        self.slot.close()
        if reader.thread.ident is None:
            return
        reader.thread.join(timeout / 3)
        if reader.thread.is_alive():
            reader.close_aside()
            reader.thread.join(timeout * 2 / 3)
        if reader.thread.is_alive():
            log.warning("%s did not return from a call within %g s", reader.source.name, timeout)

    def check_opened(self) -> None:
        """Raise what already kept the source from opening; does not wait."""
        if self.opened.is_set() and self.error is not None:
            raise self.error

    def check(self) -> None:
        """Replace a thread that has been in one call of a live source for too long. Never waits."""
        reader = self._reader
        began, source = reader.began, reader.source
        patience = max(PATIENCE, self.patience)
        if not began or not source.live or time.monotonic() - began < patience:
            return
        if self._gave_up or self._renew is None or self.ended:
            return
        error = SourceLostError(f"{source.name} has not answered for {patience:g} s")
        if self._exit_on_loss:
            reader.close_aside()
            self.end(reader, error)
        elif self.left_behind >= MOST_LEFT_BEHIND:
            self._gave_up = True
            log.error("%s, nor did it %d times before: only a new process helps", error, MOST_LEFT_BEHIND)
        else:
            self._replace(reader, began, error)

    def reopen(self, why: str) -> None:
        """Make the source anew, as ``renew`` gives it now. Not counted as a loss; never waits."""
        reader = self._reader
        if self._renew is None or self.ended or reader.thread.ident is None:
            return
        with self._lock:
            self._appoint(reader, CaptureState("starting", why))
        reader.leave()
        self._reader.thread.start()

    def _replace(self, reader: Reader, began: float, error: SourceLostError) -> None:
        with self._lock:
            if reader.began != began:
                return  # it came back at the last moment
            self._appoint(reader, CaptureState("waiting", str(error)))
            self.lost += 1
            self._hangs_since = self._hangs_since or time.monotonic()
        reader.leave()
        self._reader.thread.start()

    def _appoint(self, reader: Reader, status: CaptureState) -> None:
        """Put an heir in a reader's place; the lock is held."""
        self._before = (self.pulse, self.broken)
        self._left.append(reader.thread)
        self._first_seq = self._next_seq
        self._reader = Reader(
            reader.source,
            self,
            renew=self._renew,
            exit_on_loss=self._exit_on_loss,
            wait=True,
            heir_of=reader,
        )
        self.status = status

    # -- what the reader calls, on its thread

    def deliver(self, reader: Reader, frame: Frame) -> None:
        with self._lock:
            if reader is not self._reader:
                return
            frame.seq += self._first_seq
            self._next_seq = frame.seq + 1
            if self.status.state != "running":
                self.status = CaptureState("running")
            self._hangs_since = 0.0
            self.rate.tick(frame.times.captured)
            self.slot.put(frame)

    def prepare(self, frame: Frame) -> None:
        if self.ahead is not None:
            with contextlib.suppress(FrameError):  # whoever takes the frame meets it again, and counts it
                self.ahead(frame)

    def offer(self, reader: Reader, frame: Frame, timeout: float) -> bool:
        if not self.slot.offer(frame, timeout):
            return False
        self.rate.tick()
        return True

    def say(self, reader: Reader, state: State, message: str = "", lost: bool = False) -> None:
        with self._lock:
            if reader is not self._reader:
                return
            self.lost += lost
            self.status = CaptureState(state, message)
            self.opened.set()

    def end(self, reader: Reader, error: EdgecamError | None) -> None:
        with self._lock:
            if reader is not self._reader:
                return
            if not self.slot.closed:  # else it was stopped, and any error is but an echo of that
                self.error = error
            self.status = CaptureState("ended", "" if self.error is None else str(self.error))
            self.opened.set()
            self.slot.close()
