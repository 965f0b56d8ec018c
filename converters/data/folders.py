"""A folder for each class, in it or below it the pictures; above them, if the split is ready, a folder for
each part (``train/cat/1.jpg``)."""

from __future__ import annotations

from pathlib import Path

from converters.data.entries import Entry, Listing, part_of, pictures, visible
from edgecam.errors import UsageError


def read(folder: Path) -> Listing:
    """
    Raises:
        UsageError: pictures lie in no class folder, or there are none.
    """
    parts = [path for path in visible(folder) if path.is_dir() and part_of(path.name)]
    entries: list[Entry] = []
    for top in parts or [folder]:
        part = part_of(top.name) if parts else ""
        classes = [path for path in visible(top) if path.is_dir()]
        entries += [Entry(path, part, name.name) for name in classes for path in pictures(name)]
    if not entries:
        what = "holds its pictures in no class folder" if pictures(folder) else "holds no pictures"
        raise UsageError(
            f"{folder} {what}", "make a folder for each class (cat/1.jpg), or name a CSV or JSON file"
        )
    names = list(dict.fromkeys(entry.label for entry in entries))
    return Listing("classify", tuple(names), tuple(entries))
