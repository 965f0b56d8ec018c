"""What the tests of privacy share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgecam import jpeg
from edgecam.types import Detections, Floats, Frame, Image

LABELS = ("person", "dog")
NO_BOXES: Floats = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def detections(*rows: tuple[float, float, float, float], labels: tuple[int, ...] = ()) -> Detections:
    n = len(rows)
    score = np.linspace(0.9, 0.4, n).astype(np.float32)
    return Detections(boxes(*rows), score, np.array(labels or (0,) * n, np.int32))


def red(width: int = 64, height: int = 48) -> Image:
    """A picture of which every pixel is a secret."""
    return np.full((height, width, 3), (230, 20, 20), np.uint8)


def redness(image: Image) -> float:
    """The part of the pixels that is red."""
    wide = image.astype(int)
    return float(((wide[..., 0] > 150) & (wide[..., 1] < 90) & (wide[..., 2] < 90)).mean())


def jpeg_frame(image: Image, seq: int = 0, **more: Any) -> Frame:
    """A frame as cameras give it that send JPEG."""
    data = jpeg.encode(image, 90)
    return Frame(seq, jpeg=data, size=(image.shape[1], image.shape[0]), decode=jpeg.decode, **more)


@contextmanager
def closing(privacy: Any) -> Iterator[Any]:
    yield privacy
    assert privacy.close()
