"""``demo:`` a scene that needs no camera: a view that wanders over a wall of photographs, without end.

The photographs (two persons, a cat, a cup of coffee) are in the public domain or CC0; see
``assets/README.md``. One turn takes 40 seconds and ends where it began.

Options::

    size=1280x720   fps=25
    frames=N        ends after N frames
    live=yes|no     comes in real time; by default yes, no with frames=N
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from edgecam import jpeg
from edgecam.errors import SourceError, UsageError
from edgecam.registry import URI, parse_bool, parse_size
from edgecam.sources import options as converters
from edgecam.sources.pace import Pacer
from edgecam.types import Floats, Frame, Image

WALL = Path(__file__).with_name("assets") / "wall.jpg"
SECONDS_A_STOP = 5.0

STOPS = np.array(
    [
        # Center x, y and width of a 16:9 view, in pixels of the wall (2240x1260).
        (1120, 630, 2210),  # everything
        (790, 470, 1480),  # astronaut and cat
        (1080, 405, 1240),  # cat
        (1450, 500, 1460),  # cat and commodore
        (1590, 590, 1260),  # commodore
        (1290, 650, 1820),  # most of it
        (1080, 880, 1280),  # cup
        (850, 690, 1600),  # cup, astronaut, cat
    ],
    np.float64,
)


def view_at(seconds: float) -> Floats:
    """Center x, y and width of the view after so many seconds: a closed curve that never stands still.

    Catmull-Rom splines through :data:`STOPS` (Catmull and Rom, "A class of local interpolating splines",
    1974); the width is interpolated as its logarithm, so that zooming looks even.
    """
    place = seconds / SECONDS_A_STOP
    stop = math.floor(place)
    t = place - stop
    before, here, there, after = (STOPS[(stop + i) % len(STOPS)] * (1, 1, 0) for i in (-1, 0, 1, 2))
    for point, i in ((before, -1), (here, 0), (there, 1), (after, 2)):
        point[2] = math.log(STOPS[(stop + i) % len(STOPS)][2])
    curve = 0.5 * (
        2 * here
        + (there - before) * t
        + (2 * before - 5 * here + 4 * there - after) * t**2
        + (3 * here - before - 3 * there + after) * t**3
    )
    curve[2] = math.exp(curve[2])
    return np.asarray(curve, np.float32)


class DemoSource:
    """See the module's docstring. A frame costs one bilinear warp."""

    def __init__(self, uri: URI) -> None:
        options = uri.options(
            size=(parse_size, (1280, 720)),
            fps=(converters.fps, 25.0),
            frames=(converters.count, 0),
            live=(parse_bool, None),
        )
        if uri.path:
            raise UsageError(f"demo: takes no path, got {uri.path!r}", "write demo: or demo:?size=640x360")
        self.size: tuple[int, int] = options["size"]
        self.fps: float = options["fps"]
        self.name = uri.safe
        self.total: int | None = options["frames"] or None
        self.live: bool = self.total is None if options["live"] is None else options["live"]
        self.broken = 0
        self._seq = 0
        self._wall: Image | None = None
        self._pacer = Pacer(slack=1 / self.fps)
        self.patience = 2 / self.fps

    def open(self) -> None:
        try:
            self._wall = jpeg.decode(WALL.read_bytes())
        except OSError as error:
            raise SourceError(f"{WALL} cannot be read ({error.strerror})", "install edgecam again") from error
        self._pacer.start()

    def read(self) -> Frame | None:
        if self.total is not None and self._seq >= self.total:
            return None
        seq = self._seq
        image = self._render(seq / self.fps)
        captured = self._pacer.wait(seq / self.fps) if self.live else time.monotonic()
        self._seq += 1
        media_time = None if self.live else seq / self.fps
        return Frame(seq, image, source=self.name, captured=captured, media_time=media_time)

    def _render(self, seconds: float) -> Image:
        import cv2

        if self._wall is None:
            raise SourceError("demo: is not open")
        width, height = self.size
        x, y, view = (float(v) for v in view_at(seconds))
        # What a 16:9 view shows is shown in any other shape too.
        scale = max(view / width, view * 9 / 16 / height)
        to_wall = np.array([[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(self._wall, to_wall, self.size, flags=flags, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )

    def close(self) -> None:
        self._pacer.wake()
