"""From packets to coded pictures for those sinks that keep them: the camera's own JPEG where there is one."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgecam import encoders, jpeg
from edgecam.errors import FrameError, SinkError
from edgecam.mp4 import Track
from edgecam.registry import choice, parse_bool
from edgecam.types import Image, Packet

CODECS = ("auto", "jpeg", "h264", "mpeg4")
_SMALLEST = 16  # pixels; no codec here takes less


@dataclass(frozen=True, slots=True)
class Unit:
    """One coded picture.

    Attributes:
        at: seconds by a clock that nobody sets.
        wall: seconds since 1970.
        key: it can be shown without those before it.
        data: as its container wants it.
        track: what it is a part of; another track needs another file.
    """

    at: float
    wall: float
    key: bool
    data: bytes
    track: Track


class Coder:
    """Codes packets. One thread pushes and takes.

    JPEG that a camera gave is passed on as it is, without a look at its pixels. Where there is none (or
    privacy rules withhold it, or boxes are to be drawn in) pictures are coded anew: H.264 if ``ffmpeg`` is
    there, else MPEG-4, or JPEG if that is what was asked for.

    Args:
        codec: one of :data:`CODECS`.
        boxes: the overlay is drawn in.
        fps: at most so many pictures a second, 0 for all.
    """

    def __init__(self, codec: str, boxes: bool = False, fps: float = 0.0) -> None:
        self._codec = codec
        self._boxes = boxes
        self._step = 1 / fps if fps else 0.0
        self._due = -1e18
        self._coder: encoders.H264Coder | None = None
        self._encoder: encoders.Encoder | None = None
        self._track: Track | None = None
        self._times: deque[tuple[float, float]] = deque()
        self._units: deque[Unit] = deque()
        self._size = (0, 0)
        self._lock = threading.Lock()

    def open(self) -> None:
        """Look for what can encode.

        Raises:
            SinkError: ``h264`` was asked for and there is no ``ffmpeg``.
        """
        self._coder = encoders.h264_coder() if self._codec in ("auto", "h264") else None
        if self._codec == "h264" and self._coder is None:
            raise SinkError(
                "codec=h264 needs the ffmpeg program", "apt install ffmpeg, or choose codec=mpeg4"
            )

    @property
    def words(self) -> str:
        """What pictures become, for people."""
        coded = "MPEG-4" if self._coder is None else f"H.264 by {self._coder.name}"
        if self._codec == "jpeg" or (self._codec == "auto" and not self._boxes):
            coded = "JPEG" if self._codec == "jpeg" else f"the camera's JPEG as it is, else {coded}"
        return coded

    def push(self, packet: Packet, at: float) -> None:
        """Code a packet's picture; left out are those that come too soon after the last, and broken ones.

        Raises:
            SinkError: the encoder died.
        """
        if self._too_soon(at):
            return
        with contextlib.suppress(FrameError):
            self._code(packet, at)

    def take(self) -> list[Unit]:
        """What has been coded since the last time, in order."""
        with self._lock:
            out = list(self._units)
            self._units.clear()
        return out

    def close(self) -> list[Unit]:
        """End the encoder; what it still held. Another push starts one anew.

        Raises:
            Exception: what coding raised.
        """
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()
            self._times.clear()
            if encoder.error is not None:
                raise encoder.error
        return self.take()

    def _code(self, packet: Packet, at: float) -> None:
        frame = packet.frame
        kept = frame.jpeg is not None and not self._boxes
        if self._codec == "jpeg" or (self._codec == "auto" and kept):
            data = jpeg.encode(packet.picture()) if self._boxes else jpeg.of(frame)
            track = self._use(Track("jpeg", frame.width, frame.height))
            with self._lock:
                self._units.append(Unit(at, frame.wall, True, data, track))
        else:
            self._encode(packet.picture() if self._boxes else frame.image, at, frame.wall)

    def _too_soon(self, at: float) -> bool:
        """Keep to the rate; a clock that jumps begins anew."""
        step, due = self._step, self._due
        if due - 2 * step < at < due - step / 4:
            return True
        self._due = max(due, at - step / 2) + step if abs(at - due) < 2 * step else at + step
        return False

    def _use(self, track: Track) -> Track:
        """The track so far if nothing changed; it is one object, so that files can tell."""
        if self._track is None or self._track != track:
            self._track = track
        return self._track

    def _encode(self, image: Image, at: float, wall: float) -> None:
        size = (image.shape[1] & ~1, image.shape[0] & ~1)  # colour is stored at half the size
        if min(size) < _SMALLEST:
            raise SinkError(f"a picture of {size[0]}x{size[1]} is too small for a video", "use a larger one")
        if self._encoder is not None and size != self._size:
            rest = self.close()
            with self._lock:
                self._units.extendleft(reversed(rest))
        if self._encoder is None:
            self._size = size
            self._encoder = self._start(size)
        self._times.append((at, wall))
        self._encoder.write(image[: size[1], : size[0]])

    def _start(self, size: tuple[int, int]) -> encoders.Encoder:
        def store(key: bool, data: bytes, config: bytes) -> None:
            track = self._use(Track(encoder_codec, *size, config))
            at, wall = self._times.popleft()
            with self._lock:
                self._units.append(Unit(at, wall, key, data, track))

        if self._coder is not None:
            encoder_codec = "h264"
            return encoders.H264Encoder(size, store, self._coder.program, self._coder.name)
        encoder_codec = "mpeg4"
        return encoders.Mpeg4Encoder(size, store)


def rate(text: str) -> float:
    """Pictures a second.

    Raises:
        ValueError: not a number from 0 to 1000.
    """
    value = float(text)
    if not 0 <= value <= 1000:
        raise ValueError("expected pictures a second, 0 for all")
    return value


def coder_options() -> dict[str, tuple[Callable[[str], Any], Any]]:
    """The options of a URI that make a :class:`Coder`."""
    return {"codec": (choice(*CODECS), "auto"), "boxes": (parse_bool, False), "fps": (rate, 0.0)}


def make_coder(options: dict[str, Any]) -> Coder:
    """The coder that a sink's options ask for."""
    return Coder(options["codec"], options["boxes"], options["fps"])
