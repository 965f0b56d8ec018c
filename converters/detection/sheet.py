"""The contact sheet of a detector's training: pictures as augmented, with the boxes that training believes.
Needs TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from converters.detection.feed import BoxFeed, Shown
from converters.training import sheet
from converters.training.plan import Plan
from edgecam.types import Array, Floats

_COLOURS = ((255, 64, 64), (64, 224, 64), (80, 128, 255), (255, 208, 0), (255, 64, 255), (0, 224, 224))


def write(path: Path, feed: BoxFeed, plan: Plan, channels: int) -> str:
    """Rows of pictures: the picture itself, then what training may see instead of it.

    Returns:
        The file's name.
    """
    from converters.training.augment import Augment

    shows = [n for n, boxes in enumerate(feed.data.boxes) if len(boxes)]
    chosen = [shows[int(i)] for i in np.linspace(0, len(shows) - 1, min(sheet.ROWS, len(shows)))]
    colours = Augment(replace(plan, shift=0.0, zoom=0.0, rotate=0.0), channels)
    rows = []
    for index in chosen:
        picture = feed.data.pictures.take(np.array([index]))[0]
        plain = Shown(picture, feed.data.boxes[index], feed.data.class_id[index])
        seen = [feed.shown(index, epoch) for epoch in range(sheet.COLUMNS - 1)]
        changed = np.asarray(
            colours(np.stack([one.picture for one in seen]).astype(np.float32), training=True)
        )
        pixels = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
        moved = [one._replace(picture=p) for one, p in zip(seen, pixels, strict=True)]
        rows.append([drawn(one) for one in (plain, *moved)])
    return sheet.compose(path, rows)


def drawn(shown: Shown) -> Array:
    """A tile of the sheet with the boxes, a colour a class."""
    import cv2

    tile = np.ascontiguousarray(sheet.sized(shown.picture))
    height, width = shown.picture.shape[:2]
    scale = sheet.SIDE / max(height, width)
    size = np.array([round(width * scale), round(height * scale)])
    start = (sheet.SIDE - size) // 2
    for box, class_id in zip(shown.boxes, shown.class_id, strict=True):
        xyxy: Floats = box.reshape(2, 2) * (size - 1) + start
        (x, y), (x2, y2) = np.rint(xyxy).astype(int).tolist()
        cv2.rectangle(tile, (x, y), (x2, y2), _COLOURS[int(class_id) % len(_COLOURS)], 1)
    return tile
