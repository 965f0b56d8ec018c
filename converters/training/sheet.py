"""The contact sheet: what augmentation makes of some pictures. Needs TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.files import write_whole
from converters.training.feed import TrainFeed
from converters.training.plan import Plan
from edgecam.types import Array

FILE = "augmentation.png"
ROWS, COLUMNS = 4, 8
SIDE = 96  # pixels of a picture on the sheet
_GAP = 4


def write(path: Path, feed: TrainFeed, plan: Plan, channels: int) -> str:
    """Rows of pictures: the picture itself, then what training may see instead of it.

    Returns:
        The file's name.
    """
    return compose(path, _tiles(feed, plan, channels))


def compose(path: Path, tiles: Sequence[Sequence[Array]]) -> str:
    """Lay rows of pictures, uint8 (H, W, C), onto a sheet and write it; the file's name."""
    from PIL import Image as pil

    cell = SIDE + _GAP
    canvas = np.full((ROWS * cell + _GAP, COLUMNS * cell + 2 * _GAP, 3), 255, np.uint8)
    for row, pictures in enumerate(tiles):
        for column, picture in enumerate(pictures):
            y = _GAP + row * cell
            x = _GAP + column * cell + (_GAP if column else 0)
            canvas[y : y + SIDE, x : x + SIDE] = sized(picture)
    buffer = io.BytesIO()
    pil.fromarray(canvas).save(buffer, "png", optimize=True)
    write_whole(path, buffer.getvalue())
    return path.name


def _tiles(feed: TrainFeed, plan: Plan, channels: int) -> list[list[Array]]:
    from converters.training.augment import Augment

    rows = min(ROWS, len(feed.pictures))
    indices = np.linspace(0, len(feed.pictures) - 1, rows).astype(int)
    pictures = feed.pictures.take(indices)
    augment = Augment(plan, channels)
    seen = [pictures]
    for number in range(1, COLUMNS):
        turned = pictures.copy()
        mirrored = feed.mirrored(number)[indices]
        turned[mirrored] = turned[mirrored, :, ::-1]
        changed = np.asarray(augment(turned.astype(np.float32), training=True))
        seen.append(np.clip(np.rint(changed), 0, 255).astype(np.uint8))
    return [[column[row] for column in seen] for row in range(rows)]


def sized(picture: Array) -> Array:
    """A picture as large as a tile, white around it."""
    import cv2

    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    resized = cv2.resize(picture, size, interpolation=how)
    if resized.ndim == 2:
        resized = np.repeat(resized[..., None], 3, 2)
    out = np.full((SIDE, SIDE, 3), 255, np.uint8)
    y, x = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    out[y : y + size[1], x : x + size[0]] = resized
    return out
