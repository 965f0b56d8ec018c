"""Synthetic pictures of shapes whose boxes are known exactly: to try a training of detectors without data.

They show that a recipe learns, and nothing about cameras. ``edgecam-convert run shapes`` uses them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgecam.types import Array

NAMES = ("cross", "disc", "triangle")
SIDE = 96
_FINE = 3  # drawn so many times larger, then made smaller: soft edges
_SMALLEST, _LARGEST = 0.2, 0.5  # of the side
_MOST = 4
_CONTRAST = 60  # grey levels at the least between a shape and what lies behind it


class Scene(NamedTuple):
    """
    Attributes:
        picture: uint8 (side, side, 3), RGB.
        boxes: (M, 4) as x, y, width, height in pixels.
        class_id: M rows of :data:`NAMES`.
    """

    picture: Array
    boxes: list[tuple[float, float, float, float]]
    class_id: list[int]


def scene(rng: np.random.Generator, side: int = SIDE) -> Scene:
    """One to four shapes that do not touch, of any colour and direction, on a noisy slope of colours."""
    import cv2

    large = side * _FINE
    canvas = _background(rng, large)
    taken = np.zeros((large, large), bool)
    found = Scene(canvas, [], [])
    for _ in range(int(rng.integers(1, _MOST + 1))):
        kind = int(rng.integers(len(NAMES)))
        mask = _mask(rng, kind, large)
        ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y, x2, y2 = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
        if taken[y:y2, x:x2].any():
            continue
        taken[y:y2, x:x2] = True
        canvas[mask] = _colour(rng, canvas[mask].mean(0))
        found.boxes.append((x / _FINE, y / _FINE, (x2 - x) / _FINE, (y2 - y) / _FINE))
        found.class_id.append(kind)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    noisy = small + rng.normal(0, 8, small.shape)
    return found._replace(picture=np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _background(rng: np.random.Generator, side: int) -> Array:
    corners = rng.uniform(0, 255, (2, 2, 3))
    t = np.linspace(0, 1, side)
    top, bottom = (row[0] * (1 - t[:, None]) + row[1] * t[:, None] for row in corners)
    slope: Array = top[None] * (1 - t[:, None, None]) + bottom[None] * t[:, None, None]
    return slope.astype(np.float32)


def _mask(rng: np.random.Generator, kind: int, side: int) -> Array:
    import cv2

    radius = rng.uniform(_SMALLEST, _LARGEST) * side / 2
    centre = rng.uniform(radius, side - radius, 2)
    turned = rng.uniform(0, 2 * np.pi)
    points = centre + radius * _outline(kind) @ np.array(
        [[np.cos(turned), np.sin(turned)], [-np.sin(turned), np.cos(turned)]]
    )
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], (1,))
    return mask.astype(bool)


def _outline(kind: int) -> Array:
    """Corners on and in the unit circle, (K, 2)."""
    if NAMES[kind] == "cross":
        arm = np.array([[1, 0.3], [0.3, 0.3], [0.3, 1]]) / np.hypot(1, 0.3)
        quarter = np.array([[0, 1], [-1, 0]])
        return np.concatenate([arm @ np.linalg.matrix_power(quarter, n) for n in range(4)])
    corners = 64 if NAMES[kind] == "disc" else 3
    angles = np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _colour(rng: np.random.Generator, behind: Array) -> Array:
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.abs(colour - behind).max() >= _CONTRAST:
            return colour


def files(count: int, seed: int = 0, side: int = SIDE) -> Iterator[tuple[str, bytes]]:
    """Name and content of pictures and, last, of ``boxes.json`` in the manner of COCO."""
    from PIL import Image as pil

    rng = np.random.default_rng(seed)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(count):
        made = scene(rng, side)
        name = f"{number:05}.png"
        images.append({"id": number, "file_name": name, "width": side, "height": side})
        for box, class_id in zip(made.boxes, made.class_id, strict=True):
            row = {"id": len(annotations), "image_id": number, "category_id": class_id + 1, "bbox": box}
            annotations.append(row)
        out = io.BytesIO()
        pil.fromarray(made.picture).save(out, "PNG", compress_level=1)
        yield name, out.getvalue()
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    yield "boxes.json", json.dumps(content).encode()
