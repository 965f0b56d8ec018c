"""Draws a packet's result and the run's status into a copy of its frame.

All sizes follow the picture's shorter side, so the same drawing suits 240p and 4K. Pillow renders each text
once; its mask is kept, and drawing it in any colours on any ground is one table look-up.
"""

from __future__ import annotations

import math

import numpy as np

from edgecam.overlay import shapes
from edgecam.overlay.colors import Color, class_color
from edgecam.overlay.masks import Masks, Text
from edgecam.overlay.places import Places
from edgecam.overlay.shapes import Rect, Scale
from edgecam.scene import Scene
from edgecam.types import Classification, Detections, Image, Packet, Status
from edgecam.values import Region

_TRACK: Color = (90, 90, 90)  # behind a score's bar
_REGION: Color = (200, 200, 200)


class Overlay:
    """Draws packets. One instance serves a whole run, from any thread.

    Args:
        status: draw the status line.
        scores: write the score behind each label.
        scene: zones and lines to draw, with what their rules count.
        region: the part of the picture that the model looks at (left, top, right, bottom from 0 to 1): a thin
            line is drawn around it.
    """

    def __init__(
        self,
        *,
        status: bool = True,
        scores: bool = True,
        scene: Scene | None = None,
        region: Region | None = None,
    ) -> None:
        self._region = region
        self._status = status
        self._scores = scores
        self._masks = Masks()
        self._places = (
            Places(scene, self._masks) if scene is not None and (scene.zones or scene.lines) else None
        )

    def draw(self, packet: Packet) -> Image:
        """The annotated picture: a new RGB uint8 (H, W, 3); the frame is not touched.

        A placard (``packet.result is None``) is copied as it is.
        """
        image: Image = np.array(packet.frame.image, order="C")
        height, width = image.shape[:2]
        if packet.result is None or min(width, height) < 8:
            return image
        scale = Scale.of(width, height)
        if self._region is not None:
            box = np.array(self._region) * (width, height, width, height)
            shapes.box(image, shapes.corners(box, scale), max(1, scale.line // 2), _REGION)
        if self._places is not None:
            self._places.draw(image, scale, packet.counts)
        lines = self._status_lines(scale, packet.status) if self._status else []
        if isinstance(packet.result, Detections):
            top = scale.height - sum(shapes.extent(line, scale)[1] for line in lines)
            taken = [(0, top, scale.width, scale.height)] if lines else []
            self._draw_detections(image, scale, packet, packet.result, taken)
        else:
            self._draw_classes(image, scale, packet, packet.result)
        shapes.status_lines(image, scale, lines)
        return image

    # -- detections

    def _draw_detections(
        self, image: Image, scale: Scale, packet: Packet, result: Detections, taken: list[Rect]
    ) -> None:
        rows = [i for i in range(len(result)) if np.isfinite(result.xyxy[i]).all()]
        corners = {i: shapes.corners(result.xyxy[i], scale) for i in rows}
        for i in reversed(rows):  # the best last, on top
            color = class_color(int(result.class_id[i]))
            shapes.box(image, corners[i], scale.line, color)
            if result.keypoints is not None:
                shapes.points(image, result.keypoints[i], scale.line, color)
        plates = []
        for i in rows:  # the best gets its place first
            class_id, score = int(result.class_id[i]), float(result.score[i])
            name = packet.label(class_id)
            if result.track_id is not None and result.track_id[i] > 0:
                name = f"{name} {result.track_id[i]}"
            texts = self._label(scale, name, score)
            width, height = shapes.extent(texts, scale)
            place = shapes.place(corners[i], width, height, scale, taken)
            taken.append(place)
            plates.append((place, texts, class_color(class_id)))
        for place, texts, color in reversed(plates):
            shapes.plate(image, place, texts, scale, color)

    def _label(self, scale: Scale, label: str, score: float) -> list[Text]:
        """A label and its score; the score stands on the right in every script."""
        room = scale.width - 2 * scale.pad_x
        if not (self._scores and math.isfinite(score)):
            return [self._masks.get(label, scale.text, room)]
        percent = self._masks.get(f"{score:.0%}", scale.text, room)
        return [self._masks.get(label, scale.text, room - scale.pad_x - percent.width), percent]

    # -- classification

    def _draw_classes(self, image: Image, scale: Scale, packet: Packet, result: Classification) -> None:
        """A list in the upper left corner, each row with a bar as long as its score."""
        pad, bar = scale.pad_x, max(2, scale.line * 2)
        score_room = scale.text * 3
        label_room = min(scale.text * 24, scale.width - score_room - 3 * pad)
        scores = [float(v) for v in np.clip(np.nan_to_num(result.score), 0, 1)]
        rows = [
            (
                self._masks.get(packet.label(int(class_id)), scale.text, label_room),
                self._masks.get(f"{score:.0%}", scale.text, score_room),
            )
            for score, class_id in zip(scores, result.class_id, strict=True)
        ]
        if not rows:
            return
        inner = max(label.width for label, _ in rows) + pad + max(score.width for _, score in rows)
        inner = max(1, min(scale.width - 2 * pad, max(scale.text * 9, inner)))
        above = max(text.above for row in rows for text in row)
        below = max(text.below for row in rows for text in row)
        step = above + below + bar + 3 * scale.pad_y
        rows = rows[: max(1, (scale.height - pad) // step)]
        shapes.shade(image, (0, 0, inner + 2 * pad, min(scale.height, len(rows) * step + pad)))
        for i, (label, score) in enumerate(rows):
            y = i * step + 2 * scale.pad_y
            shapes.lighten(image, label, pad, y + above)
            shapes.lighten(image, score, max(0, pad + inner - score.width), y + above)
            y += above + below + scale.pad_y
            image[y : y + bar, pad : pad + inner] = _TRACK
            length = max(1, round(inner * scores[i]))
            image[y : y + bar, pad : pad + length] = class_color(int(result.class_id[i]))

    # -- status

    def _status_lines(self, scale: Scale, status: Status) -> list[list[Text]]:
        """The status line: more lines where the picture is narrow, up to a third of its height."""
        room = scale.width - 2 * scale.pad_x
        lines: list[list[Text]] = [[]]
        for words in status_texts(status):
            text = self._masks.get(words, scale.text, room)
            used = sum(other.width + 2 * scale.pad_x for other in lines[-1])
            if used and used + text.width > room:
                lines.append([])
            lines[-1].append(text)
        room = scale.height // 3
        while lines and sum(shapes.extent(line, scale)[1] for line in lines) > room:
            lines.pop()
        return lines


def status_texts(status: Status) -> list[str]:
    """What the status line says, most important first."""
    texts = [
        status.words if status.state == "degraded" else "",
        f"camera {status.camera_fps:.1f} FPS",
        f"inference {status.inference_fps:.1f} FPS",
        f"{status.inference_ms:.1f} ms",
        f"age {status.age_ms:.0f} ms",
        f"drops {status.dropped}",
        f"still {status.still}" if status.still else "",
        status.model,
        status.device,
    ]
    return [text for text in texts if text]
