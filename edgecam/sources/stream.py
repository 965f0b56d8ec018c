"""``rtsp:`` and ``rtsps:`` network cameras, decoded by FFmpeg.

``rtsp://USER:PASSWORD@HOST:554/PATH?transport=tcp&threads=1``: two parameters are ours and do not reach the
camera, which gets all others.

* ``transport`` (tcp, udp, udp_multicast, http). TCP by default: over UDP each lost packet smears the picture,
  and many networks let none through.
* ``threads`` that decode, 1 by default: each further one delays the picture by a frame (at 10 frames a second
  one thread was 0.1 s behind, four were 0.4 s). A large picture on a slow computer may need more.
"""

from __future__ import annotations

import logging
import math
import time

from edgecam.errors import SourceError, SourceLostError
from edgecam.registry import URI, choice
from edgecam.sources import options as converters
from edgecam.sources import rtsp
from edgecam.sources.ffmpeg import Capture, open_capture
from edgecam.sources.network import address, path_of
from edgecam.types import Frame

OPEN_S = 5.0
READ_S = 4.0

_OWN = frozenset({"transport", "threads"})

log = logging.getLogger(__name__)


class StreamSource:
    """See the module's docstring."""

    def __init__(self, uri: URI) -> None:
        self.name = uri.safe
        self.live = True
        self.total: int | None = None
        self.broken = 0
        self._to = address(uri, _OWN)
        ours = URI(uri.scheme, "", {k: v for k, v in uri.query.items() if k in _OWN})
        options = ours.options(
            transport=(choice("tcp", "udp", "udp_multicast", "http"), "tcp"), threads=(converters.count, 1)
        )
        self._transport: str = options["transport"]
        self._threads: int = options["threads"]
        self._lag = Lag()
        self._capture: Capture | None = None
        self._seq = 0

    def open(self) -> None:
        """Connect and wait for the first picture's description.

        Raises:
            SourceError: FFmpeg cannot open it; what the camera says to a request of ours tells why.
        """
        self.close()
        options = {
            "rtsp_transport": self._transport,
            "timeout": str(int(READ_S * 1e6)),
            "fpsprobesize": "0",  # or FFmpeg counts frames for two seconds to learn a rate nobody asks for
        }
        capture = open_capture(
            self._to.url, options=options, open_s=OPEN_S, read_s=READ_S, threads=self._threads
        )
        if capture is None:
            rtsp.describe(self._to, OPEN_S)
            raise SourceError(
                f"the camera at {self._to.at} describes its stream {path_of(self._to)} but sends no picture",
                "try transport=tcp or transport=udp, or another codec than it has now (H.264 is safe)",
            )
        self._capture = capture
        self._lag = Lag()

    def read(self) -> Frame | None:
        """The next picture.

        Raises:
            SourceLostError: the stream ended, fell silent, or was closed.
        """
        capture = self._capture
        if capture is None:
            raise SourceLostError(f"{self.name} is closed")
        started = time.monotonic()
        got = capture.read()
        captured = time.monotonic()
        # After a camera has frozen, FFmpeg still hands out some old pictures, each after a full time-out.
        if captured - started > 0.9 * READ_S:
            raise SourceLostError(f"the camera at {self._to.at} sends nothing any more", "it is tried again")
        if got is None:
            raise SourceLostError(f"the camera at {self._to.at} ended its stream", "it is tried again")
        image, pts = got
        if self._lag.grows(captured - pts, captured):
            log.warning(
                "%s: decoding falls behind the camera: take its smaller stream, or add threads=4", self.name
            )
        self._seq += 1
        return Frame(self._seq - 1, image, source=self.name, captured=captured)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()


class Lag:
    """Notices that pictures come ever later than their own times say: they are decoded too slowly.

    Two clocks drift apart as well, but by far less than ``LIMIT_S`` in ``WINDOW_S``.
    """

    WINDOW_S = 60.0
    LIMIT_S = 2.0

    def __init__(self) -> None:
        self._least = math.inf
        self._until = 0.0
        self._told = False

    def grows(self, behind: float, now: float) -> bool:
        """True once, when it is clear.

        Args:
            behind: arrival minus presentation time, seconds; only its growth matters.
            now: monotonic seconds.
        """
        if now >= self._until:
            self._least, self._until = behind, now + self.WINDOW_S
        self._least = min(self._least, behind)
        if self._told or behind - self._least < self.LIMIT_S:
            return False
        self._told = True
        return True
