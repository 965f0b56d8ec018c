"""``http:`` and ``https:`` network cameras and streams, told apart by what they answer.

* An MJPEG stream (``multipart/x-mixed-replace``): the camera's own JPEG bytes are kept on each frame.
* A single JPEG: asked for again and again, twice a second or as ``fps=`` says.
* Anything else (HLS, MPEG-TS, a video file): decoded by FFmpeg, at its own pace.

The URL goes to the camera as it is, ``fps=`` with it; only ``tls_verify=no`` (trust any certificate) is ours.
User and password may stand in it: ``http://USER:PASSWORD@HOST/PATH``; Basic and Digest are answered.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Protocol

from edgecam import jpeg
from edgecam.errors import FrameError, SourceError, SourceLostError, UsageError
from edgecam.registry import URI, parse_bool
from edgecam.sources import options as converters
from edgecam.sources.ffmpeg import Capture, open_capture
from edgecam.sources.httpget import HttpStream, get
from edgecam.sources.multipart import MultipartReader, boundary_of
from edgecam.sources.network import Address, address, path_of
from edgecam.sources.pace import Pacer
from edgecam.types import Frame, Image

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
PATIENCE_S = 10.0
MAX_JPEG = 32 * 1024 * 1024
POLL_FPS = 2.0

_OWN = frozenset({"tls_verify"})


class _Stream(Protocol):
    """What stands behind an address. ``read`` raises SourceLostError; ``close`` comes from any thread."""

    def read(self) -> bytes | Image | None:
        """The next picture, as JPEG or as pixels; None at the end of a file."""

    def close(self) -> None: ...


class _Multipart:
    """An MJPEG stream."""

    def __init__(self, to: Address, stream: HttpStream) -> None:
        self._to = to
        self._stream = stream
        self._reader = MultipartReader(boundary_of(stream.content_type), MAX_JPEG)
        self._ready: deque[bytes] = deque()

    def read(self) -> bytes:
        # The time-out of the socket does not help against a camera that sends, but no pictures.
        give_up = time.monotonic() + PATIENCE_S
        while not self._ready:
            data = self._stream.read()
            try:
                parts = self._reader.feed(data)
            except ValueError as error:
                raise SourceLostError(f"the stream of {self._to.at} is damaged ({error})") from error
            self._ready.extend(
                p.body for p in parts if p.headers.get("content-type", "image/j").startswith("image/j")
            )
            if not data or (self._reader.ended and not self._ready):
                raise SourceLostError(f"the camera at {self._to.at} ended its stream", "it is tried again")
            if not self._ready and time.monotonic() > give_up:
                raise SourceLostError(f"no JPEG picture from {self._to.at} in {PATIENCE_S:g} s")
        return self._ready.popleft()

    def close(self) -> None:
        self._stream.close()


class _Snapshots:
    """A single JPEG that is asked for at a steady rate."""

    def __init__(self, to: Address, verify: bool, fps: float, first: HttpStream) -> None:
        self._to = to
        self._verify = verify
        self._fps = fps
        self._first: HttpStream | None = first
        self._stream = first
        self._pacer = Pacer(slack=1 / fps)
        self._count = 0

    def read(self) -> bytes:
        self._pacer.wait(self._count / self._fps)
        self._count += 1
        try:
            self._stream = self._first or get(self._to, TIMEOUT_S, self._verify)
        except SourceError as error:
            raise SourceLostError(error.message, error.remedy) from error
        self._first = None
        data = bytearray()
        try:
            while chunk := self._stream.read():
                data += chunk
                if len(data) > MAX_JPEG:
                    raise SourceLostError(f"{self._to.at} sends a picture of more than {MAX_JPEG} bytes")
        finally:
            self._stream.close()
        return bytes(data)

    def close(self) -> None:
        self._pacer.wake()
        self._stream.close()


class _Video:
    """What FFmpeg decodes. It comes in bursts (HLS) or as fast as one reads (a file), and is paced here."""

    def __init__(self, to: Address, capture: Capture) -> None:
        self._to = to
        self._capture = capture
        self._pacer = Pacer(slack=1.0)

    def read(self) -> Image | None:
        got = self._capture.read()
        if got is None:
            if self._capture.frames:
                return None
            raise SourceLostError(f"the stream of {self._to.at} ended or fell silent", "it is tried again")
        image, seconds = got
        self._pacer.wait(seconds)
        return image

    def close(self) -> None:
        self._pacer.wake()
        self._capture.close()


class HttpSource:
    """See the module's docstring."""

    def __init__(self, uri: URI) -> None:
        self.name = uri.safe
        self.live = True
        self.total: int | None = None
        self.broken = 0
        self._to = address(uri, _OWN)
        self._fps = _poll_rate(uri)
        try:
            self._verify = parse_bool(uri.query.get("tls_verify", "yes"))
        except ValueError as error:
            raise UsageError(f"{self.name}: option tls_verify: {error}") from error
        self._stream: _Stream | None = None
        self._seq = 0

    def open(self) -> None:
        """Ask the camera for its stream, and see what it is.

        Raises:
            SourceError: it cannot be reached, refuses, or sends what cannot be shown.
        """
        self.close()
        answer = get(self._to, TIMEOUT_S, self._verify)
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind.startswith("multipart/"):
            self._stream = _Multipart(self._to, answer)
        elif kind in {"image/jpeg", "image/jpg", "image/pjpeg"}:
            self._stream = _Snapshots(self._to, self._verify, self._fps, answer)
        else:
            answer.close()
            self._stream = self._open_video(kind)

    def _open_video(self, kind: str) -> _Stream:
        at = f"{self._to.at}{path_of(self._to)}"
        if kind == "text/html" or kind.startswith("image/") or kind.endswith("json"):
            raise SourceError(
                f"{at} is no stream but {kind}",
                "give the stream's own address, such as /stream.mjpg; see its manual",
            )
        capture = open_capture(self._to.url, open_s=TIMEOUT_S, read_s=TIMEOUT_S)
        if capture is None:
            raise SourceError(f"FFmpeg cannot read {at} ({kind or 'of no told kind'})", "check the address")
        return _Video(self._to, capture)

    def read(self) -> Frame | None:
        """The next picture."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            stream = self._stream
            if stream is None:
                raise SourceLostError(f"{self.name} is closed")
            got = stream.read()
            if got is None:
                return None
            captured, seq = time.monotonic(), self._seq
            self._seq += 1
            if not isinstance(got, bytes):
                return Frame(seq, got, source=self.name, captured=captured)
            try:
                size = jpeg.size(got)
                return Frame(
                    seq, jpeg=got, size=size, decode=jpeg.decode, source=self.name, captured=captured
                )
            except FrameError as error:
                self.broken += 1
                if self.broken == 1:
                    log.warning("%s: picture %d skipped: %s", self.name, seq, error)
            if time.monotonic() > give_up:
                raise SourceLostError(f"{self.name} sends only broken pictures", "restart the camera")

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _poll_rate(uri: URI) -> float:
    """``fps=`` as a number; the camera may understand words there, which are none of our business."""
    try:
        return converters.fps(uri.query.get("fps", ""))
    except ValueError:
        return POLL_FPS
