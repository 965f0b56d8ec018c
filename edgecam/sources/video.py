"""``video:`` a video file: every frame, in order, with its time.

::

    clip.mp4                     each frame once, as fast as it is worked off
    video:clip.mp4?realtime=yes  at the file's own pace, as a camera would: late frames are dropped
    video:clip.mp4?loop=yes      again from the start, without end

Rotation metadata (a phone held upright) is honoured. Where the pictures of a file are JPEG (Motion JPEG,
edgecam's own recordings of a camera's JPEG) they stay so: nobody decodes more of them than is needed.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from pathlib import Path
from typing import Any

from edgecam import mjpeg
from edgecam.errors import FrameError, SourceError, SourceLostError
from edgecam.registry import URI, parse_bool
from edgecam.sources.ffmpeg import Capture, open_capture
from edgecam.sources.pace import Pacer
from edgecam.types import Frame, Image

log = logging.getLogger(__name__)

_SLACK_S = 1.0
Jpeg = tuple[bytes, tuple[int, int]]  # a whole picture and its (width, height)


class VideoSource:
    """See the module's docstring. ``total`` is the container's frame count: exact in MP4, near in others."""

    def __init__(self, uri: URI) -> None:
        options = uri.options(loop=(parse_bool, False), realtime=(parse_bool, False))
        self.name = uri.safe
        self.live: bool = options["realtime"]
        self.total: int | None = None
        self.broken = 0
        self._loop: bool = options["loop"]
        self._place = uri.path
        self._capture: Capture | None = None
        self._lock = threading.Lock()
        self._pacer = Pacer(slack=_SLACK_S)
        self._seq = 0
        self._index = 0  # of the frame in this pass over the file

    def open(self) -> None:
        """Open the file, at its start.

        Raises:
            SourceError: no such file, or nothing in it that FFmpeg can show.
        """
        self.close()
        self._capture = self._open_file()
        self.total = None if self._loop else self._capture.frames or None
        self._index = 0
        self._pacer.start()

    def _open_file(self) -> Capture:
        if not self._place:
            raise SourceError("video: names no file", "write video:FILE")
        path = Path(self._place).expanduser()
        _check_readable(path)
        # An absolute path can not be taken for one of FFmpeg's protocols ("concat:...").
        capture = open_capture(str(path.absolute()))
        if capture is None:
            raise SourceError(
                f"{path} is not a video, is damaged, or has no picture stream",
                f"ffprobe {path} says what is in it",
            )
        if not capture.upright_jpeg:
            return capture
        capture.close()
        return open_capture(str(path.absolute()), raw=True) or capture

    def read(self) -> Frame | None:
        """The next frame.

        Raises:
            SourceError: not one picture in the file could be decoded.
        """
        capture = self._capture
        if capture is None:
            raise SourceLostError(f"{self.name} is closed")
        got = self._next(capture)
        if got is None:
            if not self._index:
                raise SourceError(f"{self.name}: no picture in it could be decoded", "it may be damaged")
            self._warn_if_cut_off(capture)
            if not self._loop:
                return None
            self._rewind(capture)
            return self.read()
        picture, position = got
        # Some streams (raw H.264) carry no times.
        seconds = position if position > 0 or not self._index else self._index / (capture.fps or 25)
        captured = self._pacer.wait(seconds) if self.live else time.monotonic()
        frame = self._frame(picture, captured, seconds)
        self._seq += 1
        self._index += 1
        return frame

    def _next(self, capture: Capture) -> tuple[Image | Jpeg, float] | None:
        """The next picture and its time; JPEG that is not whole is skipped and counted."""
        if not capture.upright_jpeg:
            return capture.read()
        while (got := capture.read_packet()) is not None:
            try:
                return mjpeg.mend(got[0]), got[1]
            except FrameError as error:
                self.broken += 1
                log.debug("%s: %s", self.name, error)
        return None

    def _frame(self, picture: Image | Jpeg, captured: float, seconds: float) -> Frame:
        facts: dict[str, Any] = {"source": self.name, "captured": captured, "media_time": seconds}
        if not isinstance(picture, tuple):
            return Frame(self._seq, picture, **facts)
        data, size = picture
        return Frame(self._seq, jpeg=data, size=size, decode=mjpeg.decode, **facts)

    def _rewind(self, done: Capture) -> None:
        """Open the file again: seeking is not exact in every container."""
        done.close()
        again = self._open_file()
        with self._lock:
            # Unless another thread has closed the source meanwhile.
            if self._capture is done:
                self._capture = again
        if self._capture is not again:
            again.close()
            raise SourceLostError(f"{self.name} is closed")
        self._index = 0
        self._pacer.rezero()

    def _warn_if_cut_off(self, capture: Capture) -> None:
        # Containers without an index only estimate the count: a small gap says nothing.
        if self._index < 0.9 * capture.frames - 5:
            log.warning(
                "%s ended after %d of %d frames: it seems cut off", self.name, self._index, capture.frames
            )

    def close(self) -> None:
        self._pacer.wake()
        with self._lock:
            capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()


def _check_readable(path: Path) -> None:
    """Say what FFmpeg would not: why a file cannot be opened."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(f"{path} is a folder, not a video", f"images:{path} reads the pictures in it")
        if not stat.S_ISREG(mode):
            return
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise SourceError(f"{path} may not be read", f"chmod a+r {path}, or run as its owner") from error
    except OSError as error:
        raise SourceError(f"no such video: {path} ({error.strerror})", "check the path") from error
    if empty:
        raise SourceError(f"{path} is empty (0 bytes)", "copy or record it again")
