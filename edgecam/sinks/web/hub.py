"""Between the pipeline's thread and any number of viewers.

::

    push() ─► newest packet ─► encoder thread ─► newest picture ─► viewers' tasks   (server's loop)
                        └────────────────────────────────────────► event tasks     (server's loop)

One picture is drawn and encoded for all viewers, and only while one of them waits: a viewer asks for a
picture *after* it has sent the last one, so a slow viewer asks seldom and gets the newest; nobody queues.
Memory is one packet and one picture, plus what each viewer has in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecam.types import Packet

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet as it came in. ``version`` counts packets from 1; ``at`` is monotonic seconds."""

    version: int
    packet: Packet
    at: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A packet's annotated picture as JPEG bytes."""

    version: int
    packet: Packet
    jpeg: bytes


class Hub:
    """Holds the newest packet and the newest encoded picture, and wakes who waits for a newer one.

    ``push`` and ``newest`` may be called from any thread; the coroutines belong to ``loop``.

    Args:
        loop: the server's event loop.
        encode: draws and encodes a packet; runs on the hub's own thread.
        fps: pictures a second that are encoded at most.

    Attributes:
        encoded: pictures encoded so far.
        dropped: packets that a waiting viewer did not get, summed over viewers.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, encode: Callable[[Packet], bytes], fps: float
    ) -> None:
        self.encoded = 0
        self.dropped = 0
        self._loop = loop
        self._encode = encode
        self._interval = 1.0 / fps
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._arrival: Arrival | None = None
        self._watching = 0
        self._listening = 0
        self._started = 0
        self._closed = False
        # The loop's thread only:
        self._picture: Picture | None = None
        self._picture_bell = asyncio.Event()
        self._packet_bell = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="edgecam-web-encoder", daemon=True)

    def start(self) -> None:
        """Start the encoder's thread."""
        self._thread.start()

    def push(self, packet: Packet) -> None:
        """Make this the newest packet. Never waits for a viewer."""
        with self._changed:
            if self._closed:
                return
            version = 1 if self._arrival is None else self._arrival.version + 1
            self._arrival = Arrival(version, packet, time.monotonic())
            if self._watching:
                self._changed.notify()
            listening = self._listening
        if listening:
            self._ring(self._packet_bell)

    def newest(self) -> Arrival | None:
        """The newest packet, if there has been one."""
        with self._changed:
            return self._arrival

    async def packet(self, after: int) -> Arrival | None:
        """The newest packet once its version is over ``after``; None once the hub is closed."""
        with self._changed:
            self._listening += 1
        try:
            while True:
                with self._changed:
                    if self._closed:
                        return None
                    arrival = self._arrival
                if arrival is not None and arrival.version > after:
                    return arrival
                await self._packet_bell.wait()
        finally:
            with self._changed:
                self._listening -= 1

    async def picture(self, after: int) -> Picture | None:
        """A picture that is over ``after`` and not older than the newest packet at the time of the call.

        So a newcomer gets the present picture at once, even if the source has been silent for an hour.
        None once the hub is closed.
        """
        with self._changed:
            newest = 0 if self._arrival is None else self._arrival.version
            self._watching += 1
            self._changed.notify()
        wanted = max(newest, after + 1)
        try:
            while not self._closed:
                picture = self._picture
                if picture is not None and picture.version >= wanted:
                    if after:
                        self.dropped += picture.version - after - 1
                    return picture
                await self._picture_bell.wait()
            return None
        finally:
            with self._changed:
                self._watching -= 1

    def close(self, timeout: float) -> None:
        """Wake everybody with None and join the encoder's thread; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._ring(self._packet_bell)
        self._ring(self._picture_bell)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        due = 0.0
        while True:
            arrival = self._work(due)
            if arrival is None:
                return
            # A picture may come up to one interval early, so that the jitter of a camera running at just
            # this rate does not cost every second picture; the mean rate holds.
            due = max(due, time.monotonic() - self._interval) + self._interval
            try:
                jpeg = self._encode(arrival.packet)
            except Exception as error:
                # One bad frame must not end the stream: viewers wait for the next packet.
                log.warning("web: frame %d could not be drawn: %s", arrival.packet.frame.seq, error)
                continue
            self.encoded += 1
            self._ring(self._picture_bell, Picture(arrival.version, arrival.packet, jpeg))

    def _work(self, due: float) -> Arrival | None:
        """Wait until a viewer waits for a packet that is not encoded yet and ``due`` has come."""
        with self._changed:
            while not self._closed:
                wait = None
                if self._watching and self._arrival is not None and self._arrival.version > self._started:
                    wait = due - time.monotonic()
                    if wait <= 0:
                        self._started = self._arrival.version
                        return self._arrival
                self._changed.wait(wait)
            return None

    def _ring(self, bell: asyncio.Event, picture: Picture | None = None) -> None:
        """On the loop's thread: keep the picture, if one is given, and wake all who wait at the bell."""

        def ring() -> None:
            if picture is not None:
                self._picture = picture
            bell.set()
            bell.clear()

        # The loop is closed when the server has ended: then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(ring)
