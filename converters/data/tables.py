"""CSV: ``path,label``, or ``path,label,x1,y1,x2,y2`` with one line a box, corners in pixels.

A first line with these names is optional; a column ``split`` (train, validation, test) is understood where
there is one. Paths are relative to the file. In a file with boxes, a line with nothing but a path is a
picture without objects.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from converters.data.entries import Box, Entry, Listing, part_of, text_of
from edgecam.errors import UsageError

_LABEL = ("path", "label")
_CORNERS = ("x1", "y1", "x2", "y2")
_KNOWN = (*_LABEL, *_CORNERS, "split")
_REMEDY = "write lines of path,label or path,label,x1,y1,x2,y2"


def read(path: Path) -> Listing:
    """
    Raises:
        UsageError: a line is not as above; the message names it.
    """
    text = text_of(path)
    try:
        lines = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(io.StringIO(text)), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise UsageError(f"{path} is not a CSV file ({error})", _REMEDY) from error
    if not lines:
        raise UsageError(f"{path} is empty", _REMEDY)
    columns = _columns(path, lines[0][1])
    if _is_header(lines[0][1]):
        lines = lines[1:]
    rows = []
    for number, cells in lines:
        if len(cells) != len(columns):
            raise UsageError(
                f"{path} line {number} has {len(cells)} values, expected {len(columns)}", _REMEDY
            )
        rows.append((number, dict(zip(columns, cells, strict=True))))
    return _with_boxes(path, rows) if "x1" in columns else _with_labels(path, rows)


def _is_header(cells: Sequence[str]) -> bool:
    return "path" in map(str.lower, cells)


def _columns(path: Path, first: Sequence[str]) -> list[str]:
    if _is_header(first):
        columns = [cell.lower() for cell in first]
        unknown = [name for name in columns if name not in _KNOWN]
        boxes = set(_CORNERS) & set(columns)
        if unknown or len(set(columns)) < len(columns) or "label" not in columns or len(boxes) not in (0, 4):
            raise UsageError(f"{path}: columns {', '.join(first)}", f"name them after {', '.join(_KNOWN)}")
        return columns
    if len(first) not in (2, 6):
        raise UsageError(f"{path} line 1 has {len(first)} values", _REMEDY)
    return list(_KNOWN[: len(first)])


def _with_labels(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]]) -> Listing:
    entries = []
    for number, row in rows:
        if not row["label"]:
            raise UsageError(f"{path} line {number} has no label", _REMEDY)
        entries.append(Entry(_file(path, number, row), _part(path, number, row), row["label"]))
    return Listing("classify", tuple(sorted({entry.label for entry in entries})), tuple(entries))


def _with_boxes(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]]) -> Listing:
    boxes: dict[Path, list[Box]] = {}
    parts: dict[Path, str] = {}
    for number, row in rows:
        picture = _file(path, number, row)
        found = boxes.setdefault(picture, [])
        parts[picture] = _part(path, number, row)
        if any(row[corner] for corner in _CORNERS):
            found.append(_box(path, number, row))
        elif row["label"]:
            raise UsageError(f"{path} line {number} has a label without a box", _REMEDY)
    entries = tuple(Entry(p, parts[p], boxes=tuple(found)) for p, found in boxes.items())
    return Listing("detect", tuple(sorted({box.label for found in boxes.values() for box in found})), entries)


def _box(path: Path, number: int, row: Mapping[str, str]) -> Box:
    if not row["label"]:
        raise UsageError(f"{path} line {number} has a box without a label", _REMEDY)
    try:
        x1, y1, x2, y2 = (float(row[corner]) for corner in _CORNERS)
    except ValueError as error:
        raise UsageError(f"{path} line {number}: corners that are no numbers", _REMEDY) from error
    return Box(row["label"], (x1, y1, x2, y2))


def _file(path: Path, number: int, row: Mapping[str, str]) -> Path:
    if not row["path"]:
        raise UsageError(f"{path} line {number} has no path", _REMEDY)
    return path.parent / row["path"]


def _part(path: Path, number: int, row: Mapping[str, str]) -> str:
    said = row.get("split", "")
    part = part_of(said)
    if said and not part:
        raise UsageError(f"{path} line {number}: split {said!r}", "write train, validation or test")
    return part
