"""The capture thread: opens a source, reads it, and brings it back when it is lost."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from edgecam.errors import EdgecamError, SourceError
from edgecam.meters import RateMeter
from edgecam.slot import LatestSlot
from edgecam.sources.base import Source
from edgecam.types import Frame, State

log = logging.getLogger(__name__)

BACKOFF_FIRST = 0.5
BACKOFF_MAX = 10.0


@dataclass(frozen=True, slots=True)
class CaptureState:
    """What the capture thread is at; replaced whole, so any thread may read it."""

    state: State = "starting"
    message: str = ""


class Capture:
    """Owns one source and the thread that reads it.

    A live source leaves each frame in ``slot``, where the newest wins; any other waits until its frame is
    taken. A live source that is lost is opened again with growing pauses (0.5 s to 10 s), unless
    ``exit_on_loss``. The first opening must succeed.

    Attributes:
        slot: where frames are left; closed when the capture has ended.
        error: what ended it, None if the source came to its end or was stopped.
        lost: how often the source was lost.
        opened: set once the source has opened, or failed to.
    """

    def __init__(self, source: Source, exit_on_loss: bool = False) -> None:
        self.source = source
        self.slot: LatestSlot[Frame] = LatestSlot()
        self.rate = RateMeter()
        self.error: EdgecamError | None = None
        self.lost = 0
        self.status = CaptureState(message="opening " + source.name)
        self.opened = threading.Event()
        self._exit_on_loss = exit_on_loss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgecam-capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ask the thread to end, wait, close the source.

        A read that outlasts ``timeout`` is left behind (the thread is a daemon): some drivers block for ever.
        """
        self._stop.set()
        self.slot.close()
        if self._thread.ident is None:
            return
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("%s did not return from a read within %.0f s", self.source.name, timeout)

    def check_opened(self) -> None:
        """Raise what already kept the source from opening; does not wait."""
        if self.opened.is_set() and self.error is not None:
            raise self.error

    @property
    def ended(self) -> bool:
        return self.slot.closed

    def _run(self) -> None:
        try:
            self._live() if self.source.live else self._file()
            self.status = CaptureState("ended")
        except EdgecamError as error:
            self.error = error
            self.status = CaptureState("ended", str(error))
        except Exception as error:
            log.debug("capture thread", exc_info=True)
            self.error = SourceError(f"{self.source.name}: {type(error).__name__}: {error}")
            self.status = CaptureState("ended", str(self.error))
        finally:
            self.source.close()
            self.opened.set()
            self.slot.close()

    def _file(self) -> None:
        self.source.open()
        self.opened.set()
        self.status = CaptureState("live")
        while not self._stop.is_set():
            frame = self.source.read()
            if frame is None:
                return
            self.rate.tick()
            while not self.slot.offer(frame, 0.25):
                if self._stop.is_set():
                    return

    def _live(self) -> None:
        self.source.open()
        self.opened.set()
        while not self._stop.is_set():
            try:
                if self._read_until_end():
                    return
            except SourceError as error:
                if self._exit_on_loss:
                    raise
                self._lose(error)
                if not self._reopen():
                    return

    def _read_until_end(self) -> bool:
        """True when the source came to its end or a stop was asked."""
        while not self._stop.is_set():
            frame = self.source.read()
            if frame is None:
                return True
            if self.status.state != "live":
                self.status = CaptureState("live")
            self.rate.tick(frame.times.captured)
            self.slot.put(frame)
        return True

    def _lose(self, error: SourceError) -> None:
        self.lost += 1
        log.warning("%s", error)
        self.status = CaptureState("lost", str(error))

    def _reopen(self) -> bool:
        """True once the source is open again, False when a stop was asked."""
        pause = BACKOFF_FIRST
        while not self._stop.wait(pause):
            self.source.close()
            try:
                self.source.open()
            except SourceError as error:
                log.debug("%s", error)
                self.status = CaptureState("lost", str(error))
                pause = min(pause * 2, BACKOFF_MAX)
                continue
            log.info("%s is back", self.source.name)
            return True
        return False
