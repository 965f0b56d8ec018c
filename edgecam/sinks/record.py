"""``record:out.mp4?fps=0&codec=auto&raw=no&overwrite=no``: the annotated video, as an MP4 with real timing.

Each picture is stored with the time at which it was captured (for a video file: its place in that file), so
an uneven camera, dropped frames and a lost camera's placards play exactly as long as they lasted; no frame
is doubled or left out to fit a rate. The file is written in fragments (:mod:`edgecam.mp4`) and plays however
it ends.

Options:
    fps: at most so many pictures a second; 0 records each.
    codec: ``h264`` needs the ``ffmpeg`` program (``apt install ffmpeg``) and plays everywhere, browsers
        included; a chip does the work where one can. ``mpeg4`` needs nothing, costs half the CPU, makes files
        twice as large, and plays in VLC, mpv and most players, but in no browser. ``auto`` is ``h264`` where
        ``ffmpeg`` is installed, else ``mpeg4``.
    raw: the camera's picture, without what the overlay draws.
    overwrite: replace a file of that name; otherwise ``out-1.mp4``, ``out-2.mp4``, ... is written.

Why not ``cv2.VideoWriter`` alone: its rate is constant, its MP4 is unreadable until the end is written, and
it tells nobody that the disk is full. Why not PyAV: it would add 100 MB to a device for this sink alone.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from itertools import count
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from edgecam import encoders
from edgecam.errors import SinkError, UsageError
from edgecam.mp4 import Mp4Writer, Track
from edgecam.registry import URI, choice, parse_bool
from edgecam.sinks.base import SinkContext
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Image, Packet

log = logging.getLogger(__name__)

_STILL_FPS = 30.0  # for sources that know no time, such as a folder of pictures
_LEAST_GAP = 0.001  # seconds between two pictures of a camera
_SMALLEST = 16  # pixels; no codec here takes less


class RecordSink(WorkerSink):
    """Records packets. The first frame's size is the video's; another size later is fitted into it."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=8)
        options = uri.options(
            fps=(_rate, 0.0),
            codec=(choice("auto", "h264", "mpeg4"), "auto"),
            raw=(parse_bool, False),
            overwrite=(parse_bool, False),
        )
        self._wanted = Path(uri.path)
        if self._wanted.suffix.lower() != ".mp4":
            raise UsageError(f"{uri.safe} does not name an MP4 file", "write record:NAME.mp4")
        self._codec: str = options["codec"]
        self._raw: bool = options["raw"]
        self._overwrite: bool = options["overwrite"]
        self._clock = _Clock(options["fps"])
        self._path = self._wanted
        self._file: BinaryIO | None = None
        self._encoder: encoders.Encoder | None = None
        self._mp4: Mp4Writer | None = None
        self._coder: encoders.H264Coder | None = None
        self._size = (0, 0)
        self._times: deque[float] = deque()

    def _open(self, context: SinkContext) -> None:
        self._coder = None if self._codec == "mpeg4" else encoders.h264_coder()
        if self._codec == "h264" and self._coder is None:
            raise SinkError(
                "codec=h264 needs the ffmpeg program", "apt install ffmpeg, or choose codec=mpeg4"
            )
        try:
            self._path, self._file = _create(self._wanted, self._overwrite)
        except OSError as error:
            raise SinkError(
                f"cannot write {self._wanted} ({error.strerror})",
                "name a file in a folder that you may write to",
            ) from error
        context.report(f"recording to {self._path} ({self._used_codec})")

    def _handle(self, packet: Packet) -> None:
        assert self._context is not None
        if self._encoder is None and packet.result is None:
            return  # the camera has not started: its frames' size is not known yet
        if packet.status.state == "ended" and packet.result is None:
            return  # the last frame again, there for its events
        moment = self._clock.time(packet, self._context.live)
        if moment is None:
            return
        image = packet.frame.image if self._raw else packet.picture()
        if self._encoder is None:
            self._encoder = self._start_encoder(image)
        self._times.append(moment)
        try:
            self._encoder.write(_fit(image, self._size))
        except OSError as error:
            raise self._cut_short(error) from error

    def _start_encoder(self, image: Image) -> encoders.Encoder:
        height, width = (length & ~1 for length in image.shape[:2])  # colour is stored at half the size
        if min(width, height) < _SMALLEST:
            raise SinkError(
                f"a picture of {width}x{height} is too small for a video", "use a larger frame size"
            )
        self._size = (width, height)
        if self._coder is not None:
            return encoders.H264Encoder(self._size, self._store, self._coder.program, self._coder.name)
        return encoders.Mpeg4Encoder(self._size, self._store)

    def _store(self, key: bool, data: bytes, config: bytes) -> None:
        """Take a coded picture; called on a thread of the encoder, in the order of the pictures."""
        if self._mp4 is None:
            assert self._file is not None
            self._mp4 = Mp4Writer(self._file, Track(self._used_codec, *self._size, config))
        self._mp4.add(self._times.popleft(), key, data)

    @property
    def _used_codec(self) -> str:
        return "h264" if self._coder is not None else "mpeg4"

    def _finish(self) -> None:
        if self._file is None:
            return
        try:
            if self._encoder is not None:
                self._encoder.close()
                if self._encoder.error is not None and not self.failed:
                    raise self._encoder.error
            if self._mp4 is not None:
                self._mp4.close()
                os.fsync(self._file.fileno())
        except OSError as error:
            if not self.failed:
                raise self._cut_short(error) from error
        finally:
            self._file.close()
            if self._mp4 is None:
                self._path.unlink(missing_ok=True)  # nothing was recorded

    def _cut_short(self, error: OSError) -> SinkError:
        seconds = 0.0 if self._mp4 is None else self._mp4.seconds
        why = error.strerror or str(error)
        return SinkError(f"{self._path} ends after {seconds:.1f} s ({why})", "make room; what is there plays")


class _Clock:
    """When each picture is shown, in seconds from the first; always rising.

    Args:
        fps: at most so many pictures a second, 0 for all.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps if fps else 0.0
        self._due = 0.0
        self._offset: float | None = None
        self._last = 0.0
        self._count = 0

    def time(self, packet: Packet, live: bool) -> float | None:
        """The packet's time, or None where it comes too soon after the last."""
        frame = packet.frame
        if live:
            source = frame.times.captured
        elif frame.media_time is not None:
            source = frame.media_time
        else:
            source = self._count / _STILL_FPS
        self._count += 1
        if self._offset is None:
            self._offset = source
        moment = source - self._offset
        if moment <= self._last and self._count > 1:
            if not live:  # the video began again: go on from here
                self._offset -= self._last + 1 / _STILL_FPS - moment
            moment = self._last + (_LEAST_GAP if live else 1 / _STILL_FPS)
        self._last = moment
        if moment < self._due - self._step / 4:
            return None
        self._due = max(self._due, moment - self._step / 2) + self._step
        return moment


def _create(path: Path, overwrite: bool) -> tuple[Path, BinaryIO]:
    """Open the file, or the next free name like it."""
    if overwrite:
        return path, path.open("wb", buffering=0)
    for number in count():
        candidate = path if number == 0 else path.with_stem(f"{path.stem}-{number}")
        try:
            return candidate, candidate.open("xb", buffering=0)
        except FileExistsError:
            continue
    raise AssertionError("unreachable")


def _fit(image: Image, size: tuple[int, int]) -> Image:
    """The picture in a frame of ``size``: as it is, or scaled with black beside it."""
    width, height = size
    if (image.shape[1] & ~1, image.shape[0] & ~1) == size:
        return image[:height, :width]
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = small
    return canvas


def _rate(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1000:
        raise ValueError("expected pictures a second, 0 for all")
    return value
