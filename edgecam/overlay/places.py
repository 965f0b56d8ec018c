"""Zones and lines over the picture: their outlines, names, and what their rules count."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edgecam.overlay import shapes
from edgecam.overlay.colors import Color, class_color
from edgecam.overlay.masks import Masks
from edgecam.overlay.shapes import Scale
from edgecam.points import Point
from edgecam.scene import Rule, Scene
from edgecam.types import Array, Image

_OUTLINE: Color = (16, 16, 16)

Counts = Mapping[str, Mapping[str, int]]


class Places:
    """Draws a scene's zones and lines.

    A line's arrow points to where ``in`` is.
    """

    def __init__(self, scene: Scene, masks: Masks) -> None:
        self._scene = scene
        self._masks = masks

    def draw(self, image: Image, scale: Scale, counts: Counts) -> None:
        """Draw into ``image``, RGB uint8 (H, W, 3)."""
        rules = self._scene.rules
        for number, zone in enumerate(self._scene.zones):
            color = class_color(7 * number + 3)
            corners = _pixels(zone.points, scale)
            _polyline(image, corners, scale, color, closed=True)
            now = [str(n) for n in _of(counts, rules, "zone", zone.name, "now")]
            self._name(image, scale, corners[np.argmin(corners.sum(1))], [zone.name, *now], color)
        for number, line in enumerate(self._scene.lines):
            color = class_color(7 * number + 5)
            ends = _pixels(line.points, scale)
            _polyline(image, ends, scale, color, closed=False)
            _arrow(image, ends, scale, color)
            ways = [
                f"{way} {total}"
                for way in ("in", "out")
                for total in _of(counts, rules, "line", line.name, way)
            ]
            self._name(image, scale, ends[0], [line.name, *ways], color)

    def _name(self, image: Image, scale: Scale, corner: Array, words: list[str], color: Color) -> None:
        room = scale.width - 2 * scale.pad_x
        texts = [self._masks.get(word, scale.text, room) for word in words]
        width, height = shapes.extent(texts, scale)
        x = min(max(0, int(corner[0])), max(0, scale.width - width))
        y = min(max(0, int(corner[1])), max(0, scale.height - height))
        shapes.plate(image, (x, y, x + width, y + height), texts, scale, color)


def _of(counts: Counts, rules: tuple[Rule, ...], kind: str, name: str, what: str) -> list[int]:
    """The largest count of the rules of this place; [] if it has none."""
    found = [
        counts[rule.name].get(what, 0)
        for rule in rules
        if getattr(rule, kind) == name and rule.name in counts
    ]
    return [max(found)] if found else []


def _pixels(points: tuple[Point, ...], scale: Scale) -> Array:
    out: Array = np.rint(np.array(points) * (scale.width - 1, scale.height - 1)).astype(np.int32)
    return out


def _polyline(image: Image, points: Array, scale: Scale, color: Color, closed: bool) -> None:
    for ink, width in ((_OUTLINE, scale.line + 2), (color, scale.line)):
        cv2.polylines(image, [points], closed, ink, width, cv2.LINE_AA)


def _arrow(image: Image, ends: Array, scale: Scale, color: Color) -> None:
    """From the middle of the line to its ``in`` side, at a right angle."""
    along = (ends[1] - ends[0]) / max(1.0, float(np.hypot(*(ends[1] - ends[0]))))
    middle = ends.mean(0)
    tip = middle + np.array([-along[1], along[0]]) * scale.text * 2
    start, end = (tuple(int(v) for v in np.rint(p)) for p in (middle, tip))
    for ink, width in ((_OUTLINE, scale.line + 2), (color, scale.line)):
        cv2.arrowedLine(image, start, end, ink, width, cv2.LINE_AA, tipLength=0.4)
