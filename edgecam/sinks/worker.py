"""The base of sinks with a thread of their own, so that the main loop never waits for a disk or a screen."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from edgecam.errors import EdgecamError
from edgecam.sinks.base import SinkContext
from edgecam.types import Packet

log = logging.getLogger(__name__)

LIVE_CLOSE_SECONDS = 5.0
FILE_CLOSE_SECONDS = 120.0


class WorkerSink:
    """A thread that takes packets from a bounded queue.

    With a live source a full queue drops its oldest packet (one without events, if there is one) and counts
    it; otherwise :meth:`push` waits for room, so nothing is lost, and waits no longer once the thread is
    gone. What the thread raises ends this sink alone: it is reported once and kept in ``failed``.

    Subclasses fill in :meth:`_handle`, and of the other hooks what they need.

    Args:
        name: what to show, without credentials; also names the thread.
        depth: packets that may wait.
        tick: seconds between two calls of :meth:`_idle` while no packet comes; None for one call.

    Attributes:
        dropped: packets that could not be taken.
        failed: why the sink stopped working, or "".
    """

    def __init__(self, name: str, depth: int = 8, tick: float | None = None) -> None:
        self.name = name
        self.dropped = 0
        self.failed = ""
        self._depth = depth
        self._tick = tick
        self._queue: deque[Packet] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._done = False
        self._deadline = 0.0
        self._context: SinkContext | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._start_error: Exception | None = None

    # -- what a subclass does

    def _open(self, context: SinkContext) -> None:
        """Open files and devices, on the caller's thread. What it raises, ``start`` raises."""

    def _attach(self) -> None:
        """Open what must live in the sink's thread, on it. What it raises, ``start`` raises."""

    def _handle(self, packet: Packet) -> None:
        """Do the work for one packet, on the sink's thread."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Finish and release everything, on the sink's thread; called once, also after a failure."""

    def _idle(self) -> None:
        """Called on the sink's thread whenever it is about to wait for a packet."""

    # -- what the pipeline calls

    def start(self, context: SinkContext) -> None:
        """Open, then start the thread.

        Raises:
            UsageError, SinkError: as the subclass says.
        """
        self._context = context
        self._open(context)
        self._thread = threading.Thread(target=self._run, name=f"sink {self.name}", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._start_error is not None:
            self._thread.join()
            self._thread = None
            raise self._start_error

    def push(self, packet: Packet) -> None:
        """Queue a packet; see the class."""
        assert self._context is not None
        with self._changed:
            while len(self._queue) >= self._depth and not self._context.live and self._working:
                self._changed.wait(0.5)
            if not self._working:
                return
            if len(self._queue) >= self._depth:
                self._drop()
            self._queue.append(packet)
            self._changed.notify_all()

    def _drop(self) -> None:
        """Make room: the oldest packet goes, but one that carries events only if all do."""
        place = next((i for i, packet in enumerate(self._queue) if not packet.events), 0)
        del self._queue[place]
        self.dropped += 1

    def close(self) -> None:
        """Work off what waits (live: what can be done in a few seconds), finish, join the thread."""
        thread, context = self._thread, self._context
        if thread is None or context is None:
            return
        limit = LIVE_CLOSE_SECONDS if context.live else FILE_CLOSE_SECONDS
        with self._changed:
            if not self._closing:
                self._deadline = time.monotonic() + limit * 0.8
            self._closing = True
            self._changed.notify_all()
        if thread is threading.current_thread():
            return
        thread.join(limit)
        if thread.is_alive():
            self._fail(f"did not finish within {limit:g} s")
        else:
            self._thread = None

    # -- the thread

    @property
    def _working(self) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return alive and not (self._closing or self._done or self.failed)

    def _end(self) -> None:
        """Take no more packets; for a subclass that is done before the run is."""
        self._done = True

    def _run(self) -> None:
        try:
            self._attach()
        except Exception as error:
            self._start_error = error
            return
        finally:
            self._ready.set()
        try:
            self._work()
        except Exception as error:
            self._failed_by(error)
        finally:
            with self._changed:
                self._done = True
                self.dropped += len(self._queue)
                self._queue.clear()
                self._changed.notify_all()
            try:
                self._finish()
            except Exception as error:
                self._failed_by(error)

    def _work(self) -> None:
        while not self._done:
            if not self._queue:
                self._idle()
            packet = self._take()
            if packet is not None:
                self._handle(packet)
            elif self._closing:
                return

    def _take(self) -> Packet | None:
        """The next packet; None after a tick without one, and when the sink is to end."""
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(self._tick)
            late = self._closing and time.monotonic() > self._deadline
            if not self._queue or late:
                return None
            self._changed.notify_all()
            return self._queue.popleft()

    def _failed_by(self, error: Exception) -> None:
        log.debug("sink %s", self.name, exc_info=error)
        if isinstance(error, OSError) and error.strerror:
            self._fail(error.strerror)
        else:
            self._fail(str(error) if isinstance(error, EdgecamError) else f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        if self.failed:
            return
        self.failed = " ".join(reason.split()) or "unknown error"
        if self._context is not None:
            self._context.report(f"{self.name} stopped: {self.failed}")
