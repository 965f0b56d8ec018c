"""``camera:``: a USB webcam or any other camera with a Video4Linux2 driver.

``camera:`` is the first one found, ``camera:2`` is ``/dev/video2``, and ``camera:/dev/v4l/by-id/...`` stays
the same over restarts. Options: ``size=1280x720``, ``fps=30`` and ``format=auto`` (a key of :data:`FORMATS`).
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from typing import Final

import numpy as np

from edgecam import cameras, mjpeg, v4l2
from edgecam.errors import FrameError, SourceError, SourceLostError
from edgecam.registry import URI, choice, parse_size
from edgecam.sources import options as converters
from edgecam.types import Frame, Image

log = logging.getLogger(__name__)

FORMATS = {
    "auto": cameras.DECODABLE,
    "mjpeg": ("MJPG", "JPEG"),
    "yuyv": ("YUYV",),
    "uyvy": ("UYVY",),
    "nv12": ("NV12",),
    "yuv420": ("YU12", "YV12"),
    "rgb": ("RGB3",),
    "bgr": ("BGR3",),
    "grey": ("GREY",),
}
SILENT_S: Final = 3.0
# Some cameras settle their exposure for seconds before they send anything.
FIRST_FRAME_S: Final = 5.0

# fourcc -> (bytes a pixel, name of the OpenCV conversion to RGB; "" if it is RGB)
_PACKED = {
    "YUYV": (2, "COLOR_YUV2RGB_YUYV"),
    "UYVY": (2, "COLOR_YUV2RGB_UYVY"),
    "YVYU": (2, "COLOR_YUV2RGB_YVYU"),
    "RGB3": (3, ""),
    "BGR3": (3, "COLOR_BGR2RGB"),
    "GREY": (1, "COLOR_GRAY2RGB"),
}
_PLANAR = {
    "NV12": "COLOR_YUV2RGB_NV12",
    "NV21": "COLOR_YUV2RGB_NV21",
    "YU12": "COLOR_YUV2RGB_I420",
    "YV12": "COLOR_YUV2RGB_YV12",
}


def to_rgb(data: bytes, pixels: v4l2.Pixels) -> Image:
    """A raw frame as RGB uint8 (H, W, 3), in memory of its own.

    Raises:
        FrameError: fewer bytes than the format needs.
    """
    import cv2

    planar = pixels.fourcc in _PLANAR
    depth, code = (1, _PLANAR[pixels.fourcc]) if planar else _PACKED[pixels.fourcc]
    rows = pixels.height * 3 // 2 if planar else pixels.height
    line = pixels.width * depth
    stride = max(pixels.stride, line)
    if len(data) < stride * rows:
        raise FrameError(f"frame cut off: {len(data)} of {stride * rows} bytes")
    lines = np.frombuffer(data, np.uint8, stride * rows).reshape(rows, stride)
    if pixels.fourcc in ("YU12", "YV12") and stride != line:
        # The chroma planes have half the stride: two of their lines lie in one of ours.
        chroma = lines[pixels.height :].reshape(pixels.height, stride // 2)[:, : line // 2]
        lines = np.concatenate([lines[: pixels.height, :line], chroma.reshape(rows - pixels.height, line)])
    picture = np.ascontiguousarray(lines[:, :line]).reshape(rows, pixels.width, depth)
    return np.asarray(cv2.cvtColor(picture, getattr(cv2, code))) if code else picture.copy()


class CameraSource:
    """Live pictures of one camera; the newest wins.

    A read waits three seconds at most (five for the first picture), or three pictures of a slower camera.
    """

    live = True
    total: int | None = None

    def __init__(self, uri: URI) -> None:
        options = uri.options(
            size=(parse_size, None), fps=(converters.fps, 30.0), format=(choice(*FORMATS), "auto")
        )
        self.name = uri.safe
        self.broken = 0
        self.patience = 3 / options["fps"]
        self._which = uri.path
        self._size: tuple[int, int] | None = options["size"]
        self._fps: float = options["fps"]
        self._formats = FORMATS[options["format"]]
        self._lock = threading.Lock()
        self._node: v4l2.Node | None = None
        self._closing = False
        self._pixels = v4l2.Pixels("", 0, 0, 0)
        self._silent = SILENT_S
        self._wait = FIRST_FRAME_S
        self._seq = -1
        self._offset: int | None = None

    def open(self) -> None:
        """Open the camera and let it stream. Raises UsageError, SourceError."""
        self.close()
        info = cameras.camera(self._which)
        fourcc, width, height = cameras.choose(info.formats, self._formats, self._size, self._fps)
        with self._lock:
            self._closing = False
            try:
                self._start(info, fourcc, width, height)
            except OSError as error:
                self._drop_node()
                raise cameras.explain(info.path, error) from error
            except SourceError:
                self._drop_node()
                raise

    def _start(self, info: cameras.CameraInfo, fourcc: str, width: int, height: int) -> None:
        self._node = node = v4l2.Node(info.path)
        self.name = f"{info.name} ({info.path})"
        self._pixels = got = node.set_format(fourcc, width, height)
        if got.fourcc not in cameras.DECODABLE:
            raise SourceError(f"camera {info.path} insists on format {got.fourcc}", "it cannot be used")
        fps = node.set_rate(self._fps)
        node.start()
        self.patience = 3 / (fps or self._fps)
        self._silent = max(SILENT_S, self.patience)
        self._wait = max(FIRST_FRAME_S, self.patience)
        self._offset = None
        if self._size and self._size != (got.width, got.height):
            log.warning("%s has no size %dx%d, the nearest is taken", self.name, *self._size)
        rate = f" at {fps:g} fps" if fps else ""
        log.info("%s: %s %dx%d%s", self.name, got.fourcc, got.width, got.height, rate)

    def read(self) -> Frame | None:
        """The newest frame; None only after :meth:`close`. Raises SourceLostError."""
        with self._lock:
            if self._node is None:
                return None
            try:
                return self._read(self._node)
            except OSError as error:
                self._drop_node()  # a camera gets its old number back only if nobody holds it
                gone = error.errno in (errno.ENODEV, errno.ENXIO)
                reason = "was unplugged" if gone else f"failed ({error.strerror})"
                raise SourceLostError(f"{self.name} {reason}", "plug it in again") from error

    def _read(self, node: v4l2.Node) -> Frame | None:
        broken, deadline = self.broken, time.monotonic() + self._wait
        while not self._closing:
            left = deadline - time.monotonic()
            if left <= 0:
                self._drop_node()
                what = "only broken frames" if self.broken > broken else "no frame"
                raise SourceLostError(
                    f"{what} from {self.name} for {self._wait:g} s", "check its cable and power"
                )
            grab = node.take() if node.wait(left) else None
            if grab is None:
                continue
            try:
                frame = self._frame(grab)
            except FrameError as error:
                self.broken += 1
                if self.broken == 1:
                    log.warning("%s sent a broken frame, skipped: %s", self.name, error)
                continue
            self._wait = self._silent
            return frame
        return None

    def _frame(self, grab: v4l2.Grab) -> Frame:
        seq, captured = self._number(grab.sequence), self._captured(grab.timestamp)
        if grab.error:
            raise FrameError("the driver marks it as damaged")
        if self._pixels.fourcc in ("MJPG", "JPEG"):
            data, size = mjpeg.mend(grab.data)
            return Frame(seq, jpeg=data, size=size, decode=mjpeg.decode, source=self.name, captured=captured)
        return Frame(seq, to_rgb(grab.data, self._pixels), source=self.name, captured=captured)

    def _number(self, sequence: int) -> int:
        """The driver counts frames that we never saw, from any number; some drivers do not count at all."""
        if self._offset is None:
            self._offset = self._seq + 1 - sequence
        self._seq = max(self._seq + 1, sequence + self._offset)
        return self._seq

    @staticmethod
    def _captured(timestamp: float | None) -> float:
        """The driver's time of capture where it can be true, else now."""
        now = time.monotonic()
        return timestamp if timestamp is not None and now - 2 * SILENT_S < timestamp <= now else now

    def _drop_node(self) -> None:
        if self._node is not None:
            self._node.close()
            self._node = None

    def close(self) -> None:
        """Release the camera; a read that waits in another thread returns None at once."""
        node = self._node
        if node is not None:
            self._closing = True
            node.wake()
        with self._lock:
            self._drop_node()
