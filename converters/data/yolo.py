"""YOLO text: beside each picture (or in ``labels/`` where pictures lie in ``images/``) a ``.txt`` with one
object a line: class number, centre x, centre y, width, height, in shares of the picture. Class names stand
in ``names.txt``, ``classes.txt``, ``obj.names`` or the ``names`` of a ``data.yaml``. A picture without
``.txt`` shows no object.
"""

from __future__ import annotations

import re
from pathlib import Path

from converters.data.entries import Box, Entry, Listing, part_of, pictures, text_of, visible
from edgecam.errors import UsageError

NAMES = ("names.txt", "classes.txt", "obj.names", "data.yaml", "dataset.yaml")


def is_yolo(folder: Path) -> bool:
    """Whether a folder has a file of class names and box files."""
    return _names_file(folder) is not None and any(_boxes_file(path).exists() for path in pictures(folder))


def read(folder: Path) -> Listing:
    """
    Raises:
        UsageError: a line is not as above, or a class has no name.
    """
    found = _names_file(folder)
    if found is None:
        raise UsageError(f"{folder} has no list of class names", "put a names.txt into it, one name a line")
    names = _names(found)
    entries = []
    for path in pictures(folder):
        parts = map(part_of, path.relative_to(folder).parts[:-1])
        part = next((part for part in parts if part), "")
        file = _boxes_file(path)
        boxes = _boxes(file, names) if file.exists() else ()
        entries.append(Entry(path, part, boxes=boxes))
    return Listing("detect", names, tuple(entries))


def _names_file(folder: Path) -> Path | None:
    for place in (folder, folder.parent):  # pictures of one part only: the names are one folder up
        for path in visible(place):
            if path.name.lower() in NAMES:
                return path
    return None


def _names(path: Path) -> tuple[str, ...]:
    text = text_of(path)
    if path.suffix == ".yaml":
        return _yaml_names(path, text)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _yaml_names(path: Path, text: str) -> tuple[str, ...]:
    """``names`` of a YAML file: a list in brackets, a list of dashes, or numbers with names."""
    match = re.search(r"^names:[ \t]*(\[.*?\]|(?:\n[ \t]*(?:-|\d+:).*)+)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise UsageError(f"{path} has no list 'names'", "write the names into names.txt, one a line")
    body = match[1]
    items = body[1:-1].split(",") if body.startswith("[") else re.findall(r"(?:-|\d+:)[ \t]*([^\n]*)", body)
    return tuple(item.partition(" #")[0].strip().strip("'\"") for item in items)


def _boxes_file(picture: Path) -> Path:
    beside = picture.with_suffix(".txt")
    if beside.exists() or "images" not in picture.parts:
        return beside
    at = len(picture.parts) - 1 - picture.parts[::-1].index("images")
    return Path(*picture.parts[:at], "labels", *picture.parts[at + 1 :]).with_suffix(".txt")


def _boxes(path: Path, names: tuple[str, ...]) -> tuple[Box, ...]:
    found = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            which, x, y, width, height = (float(value) for value in line.split())
        except ValueError as error:
            raise UsageError(
                f"{path} line {number} is not 'class x y width height'", "mend the line"
            ) from error
        if which != int(which) or not 0 <= which < len(names):
            raise UsageError(f"{path} line {number}: class {which:g} of {len(names)} names", "mend the line")
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        found.append(Box(names[int(which)], corners, relative=True))
    return tuple(found)
