"""A picture from a source and its times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from edgecam.types.arrays import Array, Image
from edgecam.types.results import Geometry, Result


@dataclass(slots=True)
class Times:
    """When a frame passed each stage; monotonic seconds, 0.0 where it has not been yet."""

    captured: float = 0.0
    taken: float = 0.0
    preprocessed: float = 0.0
    inferred: float = 0.0
    decoded: float = 0.0
    drawn: float = 0.0
    sent: float = 0.0


class Frame:
    """One picture from a source, its JPEG bytes if the camera gave them, and its times.

    A frame is made from pixels or from JPEG bytes. JPEG is decoded when (and only when) somebody asks
    for pixels, so a frame that is dropped costs nothing.

    Args:
        seq: number of the frame in its source, from 0, counted before drops.
        image: RGB uint8 (H, W, 3), or None when ``jpeg`` is given.
        jpeg: the camera's own JPEG bytes, or None.
        size: (width, height); needed with ``jpeg`` only.
        decode: ``(jpeg, min_width, min_height) -> image``; needed with ``jpeg`` only.
        source: what to show as its origin (no credentials).
        captured: monotonic seconds; now if None.
        media_time: position in the file in seconds, None for live sources.
        name: file name for picture files, else "".

    Attributes:
        encoded: the whole picture as JPEG bytes once somebody encoded it (:func:`edgecam.jpeg.of`), or None.
        ready: the input tensor and its geometry, and who made it, if it was made ahead
            (:meth:`edgecam.preprocess.Preprocessor.ahead`), or None.
        pending: what will be found on it, while or after another thread looks at it
            (:class:`edgecam.crew.Crew`), or None.
    """

    __slots__ = (
        "_decode",
        "_image",
        "_lock",
        "_make",
        "_reduced",
        "encoded",
        "height",
        "jpeg",
        "media_time",
        "name",
        "pending",
        "ready",
        "seq",
        "source",
        "times",
        "wall",
        "width",
    )

    def __init__(
        self,
        seq: int,
        image: Image | None = None,
        *,
        jpeg: bytes | None = None,
        size: tuple[int, int] | None = None,
        decode: Callable[[bytes, int, int], Image] | None = None,
        source: str = "",
        captured: float | None = None,
        media_time: float | None = None,
        name: str = "",
    ) -> None:
        if image is not None:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(f"frame must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
            self.height, self.width = image.shape[:2]
        elif jpeg is not None and size is not None and decode is not None:
            self.width, self.height = size
        else:
            raise ValueError("a frame needs pixels, or JPEG bytes with their size and a decoder")
        now = time.monotonic()
        self.seq = seq
        self.jpeg = jpeg
        self.source = source
        self.media_time = media_time
        self.name = name
        self.times = Times(captured=now if captured is None else captured)
        self.wall = time.time() - (now - self.times.captured)
        self.encoded: bytes | None = None
        self.ready: tuple[object, Array, Geometry] | None = None
        self.pending: Future[Result] | None = None
        self._image = image
        self._decode = decode
        self._make: Callable[[], Image] | None = None
        self._reduced: tuple[tuple[int, int], Image] | None = None
        self._lock = threading.Lock()

    def derived(self, make: Callable[[], Image]) -> Frame:
        """The same moment with other pixels: ``make()``, called at most once and only if somebody asks.

        The new frame has this one's times (the same object) and size, and no JPEG bytes.
        """
        new = Frame.__new__(Frame)
        for name in ("seq", "source", "media_time", "name", "times", "wall", "width", "height"):
            setattr(new, name, getattr(self, name))
        new.jpeg = new.encoded = new.ready = new.pending = None
        new._image = new._decode = new._reduced = None
        new._make = make
        new._lock = threading.Lock()
        return new

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def moment(self) -> float:
        """Its place in time by a clock that nobody sets, in seconds: in the file, else monotonic."""
        return self.times.captured if self.media_time is None else self.media_time

    @property
    def image(self) -> Image:
        """All pixels, RGB uint8 (H, W, 3); decoded once. Never write into it.

        Raises:
            FrameError: the JPEG is broken.
        """
        with self._lock:
            if self._image is None and self._make is not None:
                self._image = self._make()
                self._make = None  # lets go of the frame that it was made from
            elif self._image is None:
                assert self._decode is not None and self.jpeg is not None
                self._image = self._decode(self.jpeg, 0, 0)
            return self._image

    def pixels(self, min_width: int, min_height: int) -> Image:
        """Pixels for the whole view, possibly reduced, never under the size asked for (or the frame's own).

        Cheaper than :attr:`image` for a large JPEG and a small model input. Same errors.
        """
        if self._image is not None or self.jpeg is None:
            return self.image
        if self._reduced is not None and self._reduced[0] == (min_width, min_height):
            return self._reduced[1]
        assert self._decode is not None
        return self._decode(self.jpeg, min(min_width, self.width), min(min_height, self.height))

    def prepare(self, min_width: int, min_height: int) -> None:
        """Do now what :meth:`pixels` of this size would do later: on a thread that has time. Same errors."""
        self._reduced = (min_width, min_height), self.pixels(min_width, min_height)
