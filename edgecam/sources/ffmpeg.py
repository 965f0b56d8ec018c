"""OpenCV's FFmpeg reader, made quiet, bounded in time and safe to close from another thread.

Used by every source that FFmpeg decodes: video files, RTSP, and HTTP streams that are not MJPEG.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecam.errors import SourceLostError
from edgecam.types import Image

if TYPE_CHECKING:
    import cv2

_opening = threading.Lock()
_MJPG = int.from_bytes(b"MJPG", "little")


class Capture:
    """An open FFmpeg stream. ``read`` in one thread; ``close`` in any.

    Attributes:
        fps: nominal frames per second, 0.0 if unknown.
        frames: number of frames as the container tells it, 0 if unknown.
        upright_jpeg: whether each frame is a JPEG picture, to be shown as it is.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        import cv2

        self._cv2 = cv2
        self._capture = capture
        self._busy = threading.Lock()
        self._closed = False
        self.fps = max(0.0, capture.get(cv2.CAP_PROP_FPS))
        self.frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.upright_jpeg = int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG and not capture.get(
            cv2.CAP_PROP_ORIENTATION_META
        )

    def read(self) -> tuple[Image, float] | None:
        """The next picture, RGB uint8 (H, W, 3), and its presentation time in seconds; None at the end
        and after a time-out (FFmpeg does not tell them apart).

        Raises:
            SourceLostError: closed by another thread.
        """
        got = self._read()
        if got is None:
            return None
        bgr, seconds = got
        code = self._cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else self._cv2.COLOR_BGR2RGB
        return np.asarray(self._cv2.cvtColor(bgr, code), np.uint8), seconds

    def read_packet(self) -> tuple[bytes, float] | None:
        """The next picture as it is coded, where it was opened ``raw``; else as :meth:`read`."""
        got = self._read()
        return None if got is None else (got[0].tobytes(), got[1])

    def _read(self) -> tuple[Any, float] | None:
        try:
            with self._busy:
                if self._closed:
                    raise SourceLostError("the source was closed while it was being read")
                ok, data = self._capture.read()
                if not ok or data is None:
                    return None
                return data, self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        """Release the stream; if another thread is inside ``read``, that thread does it on its way out."""
        self._closed = True
        # FFmpeg's context must not be freed under a running read, and a read may take seconds.
        if self._busy.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._busy.release()


def open_capture(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    open_s: float = 0,
    read_s: float = 0,
    threads: int = 0,
    raw: bool = False,
) -> Capture | None:
    """Open what FFmpeg can read; None if it cannot (OpenCV gives no reason).

    Args:
        url: absolute path of a file, or a URL.
        options: FFmpeg's own options, for example ``{"rtsp_transport": "tcp"}``.
        open_s: give up opening after so many seconds; 0 for FFmpeg's default (30).
        read_s: give up a read after so many seconds; 0 for FFmpeg's default (30).
        threads: that decode; 0 for one per core. Each one after the first delays the picture by a frame.
        raw: give pictures as they are coded.
    """
    import cv2

    params: list[int] = []
    if open_s:
        params += [int(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC), int(open_s * 1000)]
    if read_s:
        params += [int(cv2.CAP_PROP_READ_TIMEOUT_MSEC), int(read_s * 1000)]
    if threads:
        params += [int(cv2.CAP_PROP_N_THREADS), threads]
    if raw:
        params += [int(cv2.CAP_PROP_FORMAT), -1]
    with _opening, _quiet(), _ffmpeg_options(options or {}):
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, params)
    if not capture.isOpened():
        return None
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 4 has it off, and takes it only once open
    return Capture(capture)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's warnings off the terminal while a stream is opened: our own error says it better."""
    import cv2

    # FFmpeg reads its level once, at the first stream; a level set by the user stays.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # OpenCV 4, OpenCV 5
    before = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(before)


@contextmanager
def _ffmpeg_options(options: Mapping[str, str]) -> Iterator[None]:
    """Hand options to FFmpeg in the only way OpenCV has: an environment variable read at opening."""
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    before = os.environ.get(name)
    if not options or before is not None:  # what the user set wins
        yield
        return
    os.environ[name] = "|".join(f"{key};{value}" for key, value in options.items())
    try:
        yield
    finally:
        del os.environ[name]
