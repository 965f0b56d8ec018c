"""Small picture files that differ from one another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image as pil

from edgecam.types import Image


def scene(number: int, width: int = 48, height: int = 36) -> Image:
    """A picture of its own for each number: smooth enough to survive JPEG, unlike all others."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def save(path: Path, image: Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pil.fromarray(image).save(path, **options)
    return path


def class_folders(root: Path, counts: dict[str, int], suffix: str = ".jpg", first: int = 0) -> Path:
    """``root/CLASS/N.jpg``; no two alike."""
    number = first
    for name, count in counts.items():
        for _ in range(count):
            save(root / name / f"{number}{suffix}", scene(number))
            number += 1
    return root
