"""COCO JSON: ``images``, ``annotations`` with ``bbox`` x, y, width, height in pixels, ``categories``.

Pictures lie beside the file, in ``images/`` beside it, or one folder up and then in ``images/`` or a
folder of the file's own stem (``annotations/val2017.json``, ``val2017/1.jpg``). Crowd regions are left
out: they are not single objects.

Source: the format page of https://cocodataset.org.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.data.entries import Box, Entry, Listing, Problem, text_of
from edgecam.errors import UsageError

_REMEDY = "give a COCO file with images, annotations and categories"


def read(path: Path, part: str = "") -> Listing:
    """
    Raises:
        UsageError: not a COCO file, or it contradicts itself.
    """
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({str(error)[:80]})", _REMEDY) from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise UsageError(f"{path} is not a COCO file", _REMEDY)
    try:
        return _listing(path, part, content)
    except (KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} is not a sound COCO file ({why[:80]})", _REMEDY) from error


def _listing(path: Path, part: str, content: Mapping[str, Any]) -> Listing:
    categories = sorted(content["categories"], key=lambda entry: int(entry["id"]))
    names = {int(entry["id"]): str(entry["name"]) for entry in categories}
    boxes: dict[int, list[Box]] = {int(entry["id"]): [] for entry in content["images"]}
    crowds = 0
    for entry in content["annotations"]:
        image, category = int(entry["image_id"]), int(entry["category_id"])
        if image not in boxes or category not in names:
            raise ValueError(f"annotation {entry.get('id', '')} of image {image}, category {category}")
        if entry.get("iscrowd"):
            crowds += 1
            continue
        x, y, width, height = (float(value) for value in entry["bbox"])
        boxes[image].append(Box(names[category], (x, y, x + width, y + height)))
    entries = tuple(
        Entry(_file(path, str(entry["file_name"])), part, boxes=tuple(boxes[int(entry["id"])]))
        for entry in content["images"]
    )
    problems = (Problem("box", str(path), f"{crowds} crowd regions left out"),) if crowds else ()
    return Listing("detect", tuple(names.values()), entries, problems)


def _file(path: Path, name: str) -> Path:
    up = path.parent.parent
    places = (
        path.parent,
        path.parent / "images",
        up / path.stem.removeprefix("instances_"),
        up / "images",
        up,
    )
    return next((place / name for place in places if (place / name).is_file()), path.parent / name)
