"""``synthetic:`` a moving scene whose truth is known to the pixel, for tests and for trying things out.

Coloured shapes slide to and fro, each in a lane of its own, so none hides another. Everything follows from
the frame number and the seed. A strip of 16 black and white blocks at the lower edge spells the frame
number; it survives JPEG and video coding.

Options::

    size=640x480   fps=30   seed=0   shapes=3
    frames=N       ends after N frames
    live=yes|no    comes in real time; by default yes, no with frames=N
    jpeg=yes       frames carry JPEG bytes and are decoded on demand, as from a camera
    quality=90     of those JPEGs

To play trouble: ``lose_after=N`` (lost after N frames, for ``lose_for=1`` seconds), ``stall_after=N`` (the
read after N frames hangs until the source is closed, or for ``stall_for`` seconds), ``broken_every=N`` (each
N-th picture is broken: with ``jpeg=yes`` its JPEG is cut off, else the source skips and counts it).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgecam import jpeg
from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import URI, parse_bool, parse_size
from edgecam.sources import options as converters
from edgecam.sources.pace import Pacer
from edgecam.types import Array, Detections, Frame, Image

LABELS = ("circle", "square", "triangle")
COLORS = ((226, 52, 45), (38, 166, 91), (44, 98, 214))
"""RGB of each class of :data:`LABELS`; nothing else in the picture is as colourful."""

SEQ_BITS = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A shape and its path: it runs from 0 to ``room`` and back, ``step`` pixels a frame, in row ``y``."""

    class_id: int
    side: int
    y: int
    room: int
    step: int
    phase: int
    mask: npt.NDArray[np.bool_]

    def x(self, seq: int) -> int:
        if not self.room:
            return 0
        along = (self.phase + self.step * seq) % (2 * self.room)
        return min(along, 2 * self.room - along)


def _mask(class_id: int, side: int) -> npt.NDArray[np.bool_]:
    """Which pixels of a (side, side) square belong to the shape; it touches all four edges."""
    y, x = np.mgrid[0:side, 0:side] + 0.5
    middle = side / 2
    if class_id == 0:
        return np.asarray(np.hypot(x - middle, y - middle) <= middle)
    if class_id == 1:
        return np.ones((side, side), np.bool_)
    return np.asarray(np.abs(x - middle) <= np.ceil(y) / 2)


def _bar_height(height: int) -> int:
    return max(4, height // 40)


def seq_of(image: Array) -> int:
    """The frame number (modulo 65536) that the strip in a synthetic picture spells.

    Args:
        image: (H, W, 3), any size the picture was scaled to, coding losses allowed.
    """
    height, width = image.shape[:2]
    row = image[height - max(1, _bar_height(height) // 2)].mean(axis=1)
    middles = [(2 * bit + 1) * width // (2 * SEQ_BITS) for bit in range(SEQ_BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x] > 127)


class SyntheticSource:
    """See the module's docstring. ``truth`` says what is in a frame."""

    def __init__(self, uri: URI) -> None:
        options = uri.options(
            size=(parse_size, (640, 480)),
            fps=(converters.fps, 30.0),
            seed=(converters.count, 0),
            shapes=(converters.count, 3),
            frames=(converters.count, 0),
            live=(parse_bool, None),
            jpeg=(parse_bool, False),
            quality=(converters.count, 90),
            lose_after=(converters.count, 0),
            lose_for=(converters.seconds, 1.0),
            stall_after=(converters.count, 0),
            stall_for=(converters.seconds, 0.0),
            broken_every=(converters.count, 0),
        )
        width, height = self.size = options["size"]
        if uri.path:
            raise UsageError(f"synthetic: takes no path, got {uri.path!r}", "write synthetic:?size=640x480")
        if width < 64 or height < 64 or not 0 < options["shapes"] <= height // 16:
            raise UsageError("synthetic: needs a size of 64x64 or more, and at least 16 rows for each shape")
        if not 1 <= options["quality"] <= 100:
            raise UsageError("synthetic: quality is 1 to 100")
        self._options = options
        self.fps: float = options["fps"]
        self.name = uri.safe
        self.total: int | None = options["frames"] or None
        self.live: bool = self.total is None if options["live"] is None else options["live"]
        self.broken = 0
        self._seq = 0
        self._pacer = Pacer(slack=1 / self.fps)
        self.patience = 2 / self.fps
        self._back_at: float | None = None  # when a played loss ends; None before it
        self._stalled = False
        rng = np.random.default_rng(options["seed"])
        self._shapes = self._make_shapes(options["shapes"], rng)
        self._background = self._make_background(rng)

    def _make_shapes(self, count: int, rng: np.random.Generator) -> list[_Shape]:
        width, height = self.size
        lane = (height - _bar_height(height)) // count
        low, high = max(8, min(lane, width) // 2), min(lane, width) * 9 // 10
        shapes = []
        for i in range(count):
            class_id = i % len(LABELS)
            side = int(rng.integers(low, max(high, low + 1)))
            step = max(1, round(width / self.fps / float(rng.uniform(3, 6))))
            room = width - side
            y = i * lane + (lane - side) // 2
            shapes.append(
                _Shape(class_id, side, y, room, step, int(rng.integers(2 * room)), _mask(class_id, side))
            )
        return shapes

    def _make_background(self, rng: np.random.Generator) -> Image:
        """Gray, softly graded, with a little grain."""
        width, height = self.size
        slope = np.linspace(70, 150, width)[None, :] + np.linspace(0, 40, height)[:, None]
        gray = np.clip(slope + rng.normal(0, 3, (height, width)), 0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)

    def truth(self, seq: int) -> Detections:
        """What frame ``seq`` shows: boxes in whole pixels (x2, y2 one past the last), class ids of LABELS."""
        boxes = [[s.x(seq), s.y, s.x(seq) + s.side, s.y + s.side] for s in self._shapes]
        return Detections(
            np.array(boxes, np.float32),
            np.ones(len(boxes), np.float32),
            np.array([s.class_id for s in self._shapes], np.int32),
        )

    def render(self, seq: int) -> Image:
        """The picture of frame ``seq``."""
        image = self._background.copy()
        for shape in self._shapes:
            x = shape.x(seq)
            image[shape.y : shape.y + shape.side, x : x + shape.side][shape.mask] = COLORS[shape.class_id]
        width, height = self.size
        bar = image[height - _bar_height(height) :]
        for bit in range(SEQ_BITS):
            block = slice(bit * width // SEQ_BITS, (bit + 1) * width // SEQ_BITS)
            bar[:, block] = 255 if seq >> bit & 1 else 0
        return image

    def open(self) -> None:
        if self._back_at is not None and time.monotonic() < self._back_at:
            raise SourceError("synthetic: the camera is unplugged", "it comes back by itself")
        self._pacer.start()

    def read(self) -> Frame | None:
        while self.total is None or self._seq < self.total:
            self._play_trouble()
            frame = self._next()
            if frame is not None:
                return frame
        return None

    def _next(self) -> Frame | None:
        """The next frame; None if it is to be broken and has no JPEG to break."""
        seq = self._seq
        every = self._options["broken_every"]
        breaks = bool(every) and (seq + 1) % every == 0
        image = self.render(seq)
        data = jpeg.encode(image, self._options["quality"]) if self._options["jpeg"] else None
        # Drawn first and then waited for: the picture is new when it is handed out.
        captured = self._pacer.wait(seq / self.fps) if self.live else time.monotonic()
        self._seq += 1
        media_time = None if self.live else seq / self.fps
        if data is not None:
            data = data[: len(data) // 3] if breaks else data
            return Frame(
                seq,
                jpeg=data,
                size=self.size,
                decode=jpeg.decode,
                source=self.name,
                captured=captured,
                media_time=media_time,
            )
        if breaks:
            self.broken += 1
            if self.broken == 1:
                log.warning("%s: frame %d is broken and was skipped", self.name, seq)
            return None
        return Frame(seq, image, source=self.name, captured=captured, media_time=media_time)

    def _play_trouble(self) -> None:
        options = self._options
        if options["lose_after"] and self._seq >= options["lose_after"] and self._back_at is None:
            self._back_at = time.monotonic() + options["lose_for"]
            raise SourceLostError("synthetic: the camera was unplugged")
        if options["stall_after"] and self._seq >= options["stall_after"] and not self._stalled:
            self._stalled = True
            self._pacer.pause(options["stall_for"] or None)

    def close(self) -> None:
        self._pacer.wake()
