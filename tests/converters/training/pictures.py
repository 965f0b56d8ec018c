"""What the tests of training share: generated pictures, a report that remembers, and a data set on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from converters.steps.base import Advance
from edgecam.types import Array

NAMES = ("blue", "green", "red")


def picture(rng: np.random.Generator, class_id: int, side: int = 32) -> Array:
    """A noisy picture in which one colour is stronger."""
    pixels = rng.integers(0, 200, (side // 4, side // 4, 3)).repeat(4, 0).repeat(4, 1)
    pixels[..., 2 - class_id] = np.minimum(pixels[..., 2 - class_id] + 60, 255)
    return pixels.astype(np.uint8)


def write(folder: Path, counts: tuple[int, ...] = (24, 24, 24), seed: int = 5, first: int = 0) -> Path:
    """A folder for each class."""
    from PIL import Image as pil

    rng = np.random.default_rng(seed)
    for class_id, count in enumerate(counts):
        target = folder / NAMES[class_id]
        target.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            pil.fromarray(picture(rng, class_id)).save(target / f"{number}.png")
    return folder


class Remembering:
    """A report that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        yield lambda done, total: None


class Memory:
    """Pictures that were never files; as :class:`converters.training.feed.Pictures`."""

    cached = True

    def __init__(self, count: int = 120, classes: int = 3, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.classes = rng.integers(0, classes, count)
        self.x = np.stack([picture(rng, int(class_id) % 3) for class_id in self.classes])

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Any) -> Array:
        taken: Array = self.x[indices]
        return taken
