"""From a source's listing to checked and placed pictures."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converters.data import coco_json, facts, folders, near, split, tables, yolo
from converters.data.entries import Entry, Listing, Problem, part_of, pictures, visible
from converters.data.facts import Facts
from edgecam.errors import UsageError

Corners = tuple[float, float, float, float]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Item:
    """A good picture in its place; fields as in :class:`converters.dataset.Sample`."""

    path: Path
    content: str
    class_id: int = -1
    boxes: tuple[tuple[int, Corners], ...] | None = None
    part: str = ""


@dataclass(frozen=True)
class Built:
    """Everything that :func:`collect` finds out."""

    names: tuple[str, ...]
    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    fingerprint: str


def listing(source: Path) -> Listing:
    """Find out what a source is, and list it.

    Raises:
        UsageError: it is nothing known, or broken.
    """
    if source.is_dir():
        return _of_folder(source)
    if not source.exists():
        raise UsageError(f"{source} does not exist", "name a folder of pictures, a CSV or a COCO JSON file")
    kind = source.suffix.lower()
    if kind == ".csv":
        return tables.read(source)
    if kind == ".json":
        return coco_json.read(source)
    remedy = (
        "unpack it and name the folder"
        if kind in (".zip", ".gz", ".tar", ".tgz")
        else "see the documentation"
    )
    raise UsageError(f"{source} is no data set that is known", f"{remedy} (a folder, .csv or .json)")


def _of_folder(folder: Path) -> Listing:
    if yolo.is_yolo(folder):
        return yolo.read(folder)
    lists = [path for path in visible(folder) if path.suffix.lower() in (".csv", ".json")]
    if len(lists) == 1:
        return listing(lists[0])
    parts = [path for path in visible(folder) if path.is_dir() and part_of(path.name)]
    inside = [(part, [p for p in visible(part) if p.suffix.lower() == ".json"]) for part in parts]
    if inside and all(len(files) == 1 for _, files in inside):
        return _joined([coco_json.read(files[0], part_of(part.name)) for part, files in inside])
    if lists and not any(path.is_dir() and pictures(path) for path in visible(folder)):
        raise UsageError(f"{folder} holds {len(lists)} lists", f"name one of them, for example {lists[0]}")
    return folders.read(folder)


def _joined(listings: Sequence[Listing]) -> Listing:
    """The lists of a source's parts as one."""
    names = dict.fromkeys(name for one in listings for name in one.names)
    entries = tuple(entry for one in listings for entry in one.entries)
    return Listing(
        listings[0].task, tuple(names), entries, tuple(p for one in listings for p in one.problems)
    )


def collect(
    source: Path,
    listed: Listing,
    fractions: split.Fractions,
    seed: int,
    names: Sequence[str] | None,
    progress: Callable[[int, int], None] | None,
) -> Built:
    """Read every picture, leave out what is no good, and place the rest.

    Raises:
        UsageError: not one picture is good, or all have two labels; or the classes are not the model's.
    """
    if not listed.entries:
        raise UsageError(
            f"{source} holds no pictures", "name a folder of pictures, a CSV or a COCO JSON file"
        )
    numbers = match(listed.names, listed.names if names is None else names)
    problems = list(listed.problems)
    good = _readable(listed.entries, problems, progress)
    if not good:
        raise UsageError(f"{source}: none of {len(listed.entries)} pictures can be read", str(problems[-1]))
    good = _without_duplicates(good, problems)
    if not good:
        raise UsageError(
            f"{source}: no picture is left, each is there with two labels",
            f"keep each in one class: {problems[-1]}",
        )
    entries, known = [entry for entry, _ in good], [fact for _, fact in good]
    groups = near.groups(known)
    keys = [split.key(fact.content, seed) for fact in known]
    parts = split.assign(keys, [entry.part for entry in entries], groups, fractions)
    _name_groups(groups, entries, parts, problems)
    items = tuple(
        _item(entry, fact, part, numbers, problems)
        for entry, fact, part in zip(entries, known, parts, strict=True)
        if part
    )
    used = tuple(listed.names if names is None else names)
    return Built(used, items, tuple(problems), _fingerprint(used, items))


def match(found: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Row of each of the data's class names among the model's labels; case, ``_`` and ``-`` don't count where
    the exact name is not there.

    Raises:
        UsageError: some are not among them.
    """
    exact: dict[str, int] = {}
    loose: dict[str, int] = {}
    for row, name in enumerate(wanted):
        exact.setdefault(name, row)
        loose.setdefault(_loose(name), row)
    rows = {name: exact.get(name, loose.get(_loose(name), -1)) for name in found}
    unknown = [name for name, row in rows.items() if row < 0]
    if unknown:
        listed = ", ".join(map(repr, unknown[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
        close = difflib.get_close_matches(unknown[0], wanted, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            f"{len(unknown)} of the data's classes are not among the model's {len(wanted)} labels ({listed})",
            f"{hint}name the classes as the model does",
        )
    return rows


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _readable(
    entries: Sequence[Entry], problems: list[Problem], progress: Callable[[int, int], None] | None
) -> list[tuple[Entry, Facts]]:
    good = []
    for entry, fact in zip(entries, facts.read_all([e.path for e in entries], progress), strict=True):
        if isinstance(fact, Facts):
            good.append((entry, fact))
        else:
            detail = fact.message.removeprefix(f"{entry.path} ")
            problems.append(Problem("unreadable", str(entry.path), detail))
    return good


def _without_duplicates(
    good: Sequence[tuple[Entry, Facts]], problems: list[Problem]
) -> list[tuple[Entry, Facts]]:
    """One of each picture. Of copies in different parts the one that most needs to be unseen stays; copies
    with different labels all go."""
    same: dict[str, list[int]] = defaultdict(list)
    for index, (_, fact) in enumerate(good):
        same[fact.pixels].append(index)
    dropped = set()
    for indices in same.values():
        if len(indices) == 1:
            continue
        labels = {good[i][0].label for i in indices}
        paths = [str(good[i][0].path) for i in indices]
        if len(labels) > 1:
            said = " and ".join(f"{good[i][0].label!r}" for i in indices)
            problems.append(
                Problem("conflict", paths[0], f"is also {', '.join(paths[1:])}: {said}, left out")
            )
            dropped.update(indices)
            continue
        kept = max(indices, key=lambda i: (_rank(good[i][0].part), -i))
        for i in indices:
            if i != kept:
                kind = "leak" if good[i][0].part != good[kept][0].part else "duplicate"
                what = "copy" if good[i][1].content == good[kept][1].content else "copy (same pixels)"
                problems.append(
                    Problem(kind, str(good[i][0].path), f"{what} of {good[kept][0].path}, left out")
                )
                dropped.add(i)
    return [pair for index, pair in enumerate(good) if index not in dropped]


def _rank(part: str) -> int:
    return split.PARTS.index(part) if part else -1


def _name_groups(
    groups: Sequence[Sequence[int]], entries: Sequence[Entry], parts: Sequence[str], problems: list[Problem]
) -> None:
    for group in groups:
        out = [i for i in group if not parts[i]]
        stay = [i for i in group if parts[i]]
        for i in out:
            detail = f"nearly the same as {entries[stay[0]].path} ({parts[stay[0]]}), left out"
            problems.append(Problem("leak", str(entries[i].path), detail))
        labels = sorted({entries[i].label for i in group})
        if len(labels) > 1:
            detail = (
                f"nearly the same as {entries[group[1]].path}, but labelled {' and '.join(map(repr, labels))}"
            )
            problems.append(Problem("conflict", str(entries[group[0]].path), detail))
        if len(stay) > 1:
            others = ", ".join(entries[i].path.name for i in stay[1 : 1 + _SHOWN]) + (
                ", ..." if len(stay) > 6 else ""
            )
            detail = f"nearly the same as {others}: kept together in {parts[stay[0]]}"
            problems.append(Problem("near", str(entries[stay[0]].path), detail))
    largest = max(groups, key=len, default=())
    if len(largest) > max(10, len(entries) // 5):
        detail = (
            f"{len(largest)} of {len(entries)} pictures are nearly the same: all are in {parts[largest[0]]}"
        )
        problems.append(Problem("near", "", f"{detail}; let more of the scene change between pictures"))


def _item(entry: Entry, fact: Facts, part: str, numbers: dict[str, int], problems: list[Problem]) -> Item:
    item = Item(entry.path, fact.content, part=part)
    if entry.boxes is None:
        return replace(item, class_id=numbers[entry.label])
    width, height = fact.size
    boxes = []
    wrong: Counter[str] = Counter()
    for box in entry.boxes:
        scale = (width, height, width, height) if box.relative else (1, 1, 1, 1)
        x1, y1, x2, y2 = (value * by for value, by in zip(box.xyxy, scale, strict=True))
        if not all(map(math.isfinite, (x1, y1, x2, y2))) or x2 <= x1 or y2 <= y1:
            wrong["without area"] += 1
            continue
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            wrong["outside the picture"] += 1
            continue
        boxes.append((numbers[box.label], inside))
    problems += [Problem("box", str(entry.path), f"{n} boxes {what}, left out") for what, n in wrong.items()]
    return replace(item, boxes=tuple(boxes))


def _fingerprint(names: Sequence[str], items: Sequence[Item]) -> str:
    rows = sorted(json.dumps([item.content, item.part, item.class_id, item.boxes]) for item in items)
    return hashlib.sha256(json.dumps([list(names), rows]).encode()).hexdigest()
