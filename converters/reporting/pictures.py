"""Pictures small enough to lie in the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from converters.reporting.svg import number
from edgecam import jpeg
from edgecam.errors import FrameError
from edgecam.sources.images import load_picture

SIDE = 240  # pixels of the longer side: twice what is shown, for sharp screens
_QUALITY = 82


def thumbnail(path: Path, side: int = SIDE) -> tuple[str, int, int]:
    """A picture as a ``data:`` URI, with the width and height of the original; "" where it is gone."""
    try:
        image = load_picture(path)
    except FrameError:
        return "", 0, 0
    height, width = image.shape[:2]
    factor = min(side / max(height, width), 1.0)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = jpeg.encode(np.ascontiguousarray(small, np.uint8), _QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", width, height


def with_boxes(uri: str, size: tuple[int, int], entry: Mapping[str, Any], names: Sequence[str]) -> str:
    """A picture with what was found (solid), missed (dashed) and seen where nothing is (solid, warning)."""
    width, height = size
    thick = max(width, height) / 160
    parts = [f'<image href="{uri}" width="{width}" height="{height}"/>']
    for kind, rows in (("right", entry["right"]), ("false", entry["false"]), ("missed", entry["missed"])):
        for row in rows:
            class_id, box = int(row[0]), row[-4:]
            name = names[class_id] if 0 <= class_id < len(names) else "something else"
            words = f"{name}, {kind}" if kind == "missed" else f"{name} {100 * row[1]:.0f}%, {kind}"
            x1, y1, x2, y2 = (float(value) for value in box)
            where = f'x="{number(x1)}" y="{number(y1)}" width="{number(x2 - x1)}" height="{number(y2 - y1)}"'
            parts.append(
                f'<rect class="box {kind}" {where} style="stroke-width:{number(thick)}">'
                f"<title>{escape(words)}</title></rect>"
            )
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="picture with boxes">'
    return head + "".join(parts) + "</svg>"
