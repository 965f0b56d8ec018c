"""What a reader of a data set's format gives: a picture with its label or boxes, nothing decoded yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgecam.errors import UsageError
from edgecam.registry import PICTURE_SUFFIXES
from edgecam.sources.images import natural

Task = Literal["classify", "detect"]

#: A folder of one of these names is a part of a ready split; the first of each is the part's own name.
PARTS = {
    "train": ("train", "training", "calibration"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the data that a person should know; the data set goes on without it.

    Attributes:
        kind: ``unreadable``, ``duplicate``, ``near`` (near duplicates, kept together), ``conflict`` (one
            picture, two labels), ``leak`` (in two parts of a ready split), ``box``, ``few`` or ``label``.
        path: the file, "" where it is about more than one.
        detail: one line.
    """

    kind: str
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}" if self.path else self.detail


@dataclass(frozen=True, slots=True)
class Box:
    """One object: its label and its corners, in pixels or (``relative``) in shares of the picture."""

    label: str
    xyxy: tuple[float, float, float, float]
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture as the source lists it.

    Attributes:
        path: the file.
        part: ``train``, ``validation`` or ``test`` where the source says so, else "".
        label: of the whole picture; "" with boxes.
        boxes: the objects; None for a picture with a label.
    """

    path: Path
    part: str = ""
    label: str = ""
    boxes: tuple[Box, ...] | None = None


@dataclass(frozen=True)
class Listing:
    """What a source lists.

    Attributes:
        task: what it is for.
        names: its classes, in the source's own order.
        entries: its pictures.
        problems: what was wrong with the listing.
    """

    task: Task
    names: tuple[str, ...]
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = field(default=())


def part_of(name: str) -> str:
    """The part a folder's name stands for, "" for none."""
    lowered = name.lower()
    return next((part for part, names in PARTS.items() if lowered in names), "")


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, in natural order; no hidden files ("._photo.jpg" of a Mac).

    Raises:
        UsageError: it cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise UsageError(
            f"cannot read {folder} ({error.strerror})", "check the path and its rights"
        ) from error
    return sorted(found, key=lambda path: natural(path.name))


def pictures(folder: Path) -> list[Path]:
    """All picture files in a folder and below it."""
    found: list[Path] = []
    for path in visible(folder):
        if path.is_dir():
            found += pictures(path)
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            found.append(path)
    return found


def text_of(path: Path) -> str:
    """A text file, with or without a byte order mark.

    Raises:
        UsageError: it cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})", "check the path and its rights") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
