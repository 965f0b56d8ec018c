"""``picamera:``: a Raspberry Pi camera module (CSI) through Picamera2, which comes with the system.

``picamera:`` is the first module, ``picamera:1`` the second. Options: ``size=1280x720`` and ``fps=30``.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import URI, parse_size
from edgecam.slot import LatestSlot
from edgecam.sources import options as converters
from edgecam.types import Frame

log = logging.getLogger(__name__)

SILENT_S: Final = 3.0
# libcamera names a format by the order of its bytes in a little-endian word: its BGR888 lies in memory as
# R, G, B, and its RGB888 is what others call BGR.
RGB_IN_MEMORY: Final = "BGR888"


def _picamera2() -> Any:
    """The class, or an error that says how to get it."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise SourceError(
            f"Picamera2 is not available to this Python ({error})",
            "sudo apt install python3-picamera2, and an environment made with --system-site-packages",
        ) from error
    except Exception as error:  # parts of the system compiled for another NumPy fail in many ways
        raise SourceError(
            f"Picamera2 does not load ({type(error).__name__}: {error})",
            "it must fit the NumPy of this environment: try pip install 'numpy<2'",
        ) from error
    return Picamera2


class PicameraSource:
    """Live pictures of one camera module; the newest wins.

    A read waits three seconds at most, or three pictures of a slower camera.
    """

    live = True
    total: int | None = None
    broken = 0

    def __init__(self, uri: URI) -> None:
        options = uri.options(size=(parse_size, (1280, 720)), fps=(converters.fps, 30.0))
        if uri.path and not uri.path.isdigit():
            raise UsageError(
                f"{uri.path!r} is not the number of a camera module", "write picamera: or picamera:1"
            )
        self.name = uri.safe
        self._number = int(uri.path or 0)
        self._size: tuple[int, int] = options["size"]
        self._fps: float = options["fps"]
        self.patience = 3 / self._fps
        self._lock = threading.Lock()
        self._camera: Any = None
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._seq = -1
        self._failure: Exception | None = None

    def open(self) -> None:
        """Open the module and let it stream. Raises SourceError."""
        self.close()
        library = _picamera2()
        # libcamera lists USB cameras as well, after the modules; those are for camera:.
        modules = [m for m in library.global_camera_info() if "/usb" not in str(m.get("Id", ""))]
        if self._number >= len(modules):
            found = f"no camera module {self._number}" if modules else "no camera module found"
            raise SourceError(
                found, "check its ribbon cable; `rpicam-hello --list-cameras` shows what is there"
            )
        with self._lock:
            self._slot, self._failure = LatestSlot(), None
            try:
                self._camera = library(self._number)
                self._start(self._camera)
            except Exception as error:  # Picamera2 documents none; RuntimeError and libcamera's own are seen
                self._drop_camera()
                raise SourceError(
                    f"camera module {self._number} does not start ({error.__cause__ or error})",
                    "close other programs that use it",
                ) from error
        self.name = f"{modules[self._number].get('Model', 'camera module')} (picamera:{self._number})"
        got = self._camera.camera_configuration()["main"]["size"]
        if tuple(got) != self._size:
            log.warning("%s has no size %dx%d, the nearest is taken", self.name, *self._size)
        log.info("%s: %dx%d at %g fps", self.name, *got, self._fps)

    def _start(self, camera: Any) -> None:
        controls: dict[str, Any] = {}
        if "FrameDurationLimits" in camera.camera_controls:
            period = round(1e6 / self._fps)
            controls["FrameDurationLimits"] = (period, period)
        camera.configure(
            camera.create_video_configuration(
                main={"format": RGB_IN_MEMORY, "size": self._size}, controls=controls, buffer_count=4
            )
        )
        # Called in Picamera2's own thread for each picture; a read waits for it no longer than it wants to.
        camera.pre_callback = self._take
        camera.start()

    def _take(self, request: Any) -> None:
        try:
            self._seq += 1
            stamp = request.get_metadata().get("SensorTimestamp")
            image = request.make_array("main")  # a copy: the buffer goes back to the camera
            captured = _captured(None if stamp is None else stamp / 1e9)
            self._slot.put(Frame(self._seq, image, source=self.name, captured=captured))
        except Exception as error:  # raised in the reader; here it would only end Picamera2's thread
            self._failure = error
            self._slot.close()

    def read(self) -> Frame | None:
        """The newest frame; None only after :meth:`close`. Raises SourceLostError."""
        slot, silent = self._slot, max(SILENT_S, self.patience)
        frame = slot.take(silent)
        if frame is not None:
            return frame
        if self._failure is not None:
            raise SourceLostError(f"{self.name} failed ({self._failure})") from self._failure
        if slot.closed or self._camera is None:
            return None
        raise SourceLostError(f"no frame from {self.name} for {silent:g} s", "check its ribbon cable")

    def _drop_camera(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()  # stops it too
        except Exception as error:
            log.warning("%s did not close (%s)", self.name, error)

    def close(self) -> None:
        """Release the camera; a read that waits in another thread returns None at once."""
        self._slot.close()
        with self._lock:
            self._drop_camera()


def _captured(stamp: float | None) -> float:
    """The sensor's time of capture where it is the monotonic clock's, else now."""
    now = time.monotonic()
    return stamp if stamp is not None and now - 2 * SILENT_S < stamp <= now else now
