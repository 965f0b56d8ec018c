"""Zones, lines and rules: what a settings file says of them, checked.

Points are parts of the picture, 0 to 1, from its upper left corner. ``docs/events.md`` explains each key.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from edgecam.errors import ConfigError
from edgecam.options import Kind, Many, Number, Text, describe
from edgecam.points import Point, Points, check_line, check_polygon

T = TypeVar("T", bound="Zone | Line | Rule")


@dataclass(frozen=True)
class Zone:
    """A part of the picture.

    Attributes:
        points: the corners of a polygon whose sides do not cross, 3 or more.
    """

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Line:
    """A line to cross.

    Attributes:
        points: its two ends; ``in`` is to the right of who walks from the first to the second.
    """

    name: str
    points: tuple[Point, Point]


@dataclass(frozen=True)
class Rule:
    """When there is an event.

    Attributes:
        zone, line: the name of one of them, or both None for the whole picture.
        labels: of the objects; () for all.
        min_score: the score an object must have had once; None for any (0.5 for a classification).
        min_size, max_size: bounds of the object's box, in parts of the picture's area.
        anchor: the point of the box that must be in the zone or cross the line.
        direction: in which a line is crossed.
        dwell: seconds after which it starts.
        count: objects at one time that make it one event for all of them; None for one event an object.
        end_after: seconds without what it asks for after which it ends.
        cooldown: seconds from its end (or its start, if that is all) to the next start.
    """

    name: str
    zone: str | None = None
    line: str | None = None
    labels: tuple[str, ...] = ()
    min_score: float | None = None
    min_size: float = 0.0
    max_size: float = 1.0
    anchor: str = "bottom"
    direction: str = "both"
    dwell: float = 0.0
    count: int | None = None
    end_after: float = 2.0
    cooldown: float = 0.0


@dataclass(frozen=True)
class Scene:
    """All of a run's zones, lines and rules."""

    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()


class EntryError(ValueError):
    """An entry of a list is wrong.

    Args:
        number: which, from 0.
        key: of it, "" where it is not one of the known ones.
    """

    def __init__(self, message: str, number: int, key: str = "") -> None:
        super().__init__(message)
        self.number, self.key = number, key


class SceneError(ConfigError):
    """A scene is wrong.

    Args:
        at: the kind of an entry, its number from 0, and its key.
    """

    def __init__(self, message: str, remedy: str, at: tuple[str, int, str]) -> None:
        super().__init__(message, remedy)
        self.at = at


_NAME = Text("a name of 1 to 60 characters", check=lambda text: _check_name(text))


def _check_name(text: str) -> None:
    if not 0 < len(text.strip()) <= 60 or not text.isprintable():
        raise ValueError(f"expected a name of 1 to 60 characters, got {text!r}")


_ZONE: dict[str, Any] = {"name": _NAME, "points": Points(check_polygon)}
_LINE: dict[str, Any] = {"name": _NAME, "points": Points(check_line)}
_RULE: dict[str, Kind] = {
    "name": _NAME,
    "zone": Text("a zone's name"),
    "line": Text("a line's name"),
    "labels": Many(",", "labels"),
    "min_score": Number(float, 0, 1),
    "min_size": Number(float, 0, 1),
    "max_size": Number(float, 0, 1),
    "anchor": Text(choices=("bottom", "center", "top")),
    "direction": Text(choices=("both", "in", "out")),
    "dwell": Number(float, 0),
    "count": Number(int, 1),
    "end_after": Number(float, 0),
    "cooldown": Number(float, 0),
}


class Tables(Generic[T]):
    """``[[zone]]`` and its like: a list of tables with known keys. In a variable it is JSON.

    Args:
        make: the class of an entry.
        keys: how each key is read.
    """

    def __init__(self, name: str, make: type[T], keys: Mapping[str, Any]) -> None:
        self.expected = f"[[{name}]] tables"
        self._make = make
        self._keys = keys
        self._needed = {"name", "points"} & keys.keys()

    def parse(self, text: str) -> tuple[T, ...]:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"expected a list of objects as JSON ({error})") from None
        return self.take(value)

    def take(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return tuple(self._entry(number, item) for number, item in enumerate(value, 1))

    def _entry(self, number: int, table: Mapping[str, object]) -> T:
        name = table.get("name")
        who = repr(name) if isinstance(name, str) else str(number)
        for key in table:
            if key not in self._keys:
                raise EntryError(f"{who}: unknown key {key!r}: {_known(key, self._keys)}", number - 1)
        for key in sorted(self._needed - table.keys()):
            raise EntryError(f"{who}: {key} is missing", number - 1, key)
        values = {}
        for key, value in table.items():
            try:
                values[key] = self._keys[key].take(value)
            except ValueError as error:
                words = f"{who}: {error}" if key == "points" else f"{who}: {key}: {error}"
                raise EntryError(words, number - 1, key) from None
        return self._make(**values)

    def plain(self, value: Iterable[T]) -> list[dict[str, Any]]:
        """Entries as plain values, keys at their defaults left out."""
        out = []
        for entry in value:
            fields = dataclasses.fields(entry)
            shown = {f.name: getattr(entry, f.name) for f in fields if getattr(entry, f.name) != f.default}
            out.append(json.loads(json.dumps(shown)))
        return out

    def show(self, value: Iterable[T]) -> str:
        return json.dumps(self.plain(value), ensure_ascii=False)

    def toml(self, value: Iterable[T]) -> str:
        """A list of inline tables, which may stand among other settings, unlike ``[[zone]]``."""
        rows = (
            ", ".join(f"{key} = {self._keys[key].toml(item)}" for key, item in entry.items())
            for entry in self.plain(value)
        )
        return "[" + ", ".join("{" + row + "}" for row in rows) + "]"


def _known(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)} (other settings stand above the first [[...]])"


ZONES = Tables("zone", Zone, _ZONE)
LINES = Tables("line", Line, _LINE)
RULES = Tables("rule", Rule, _RULE)


def check(scene: Scene) -> None:
    """What can be seen to be wrong with a scene without its model.

    Raises:
        SceneError: two of one name, an unknown zone or line, or keys that exclude each other.
    """
    for kind, entries in (("zone", scene.zones), ("line", scene.lines), ("rule", scene.rules)):
        names = [entry.name for entry in entries]
        for number, name in enumerate(names):
            if name in names[:number]:
                at = (kind, number, "name")
                raise SceneError(f"two {kind}s are named {name!r}", "give each a name of its own", at)
    for number, rule in enumerate(scene.rules):
        _check_place(number, rule, "zone", rule.zone, [zone.name for zone in scene.zones])
        _check_place(number, rule, "line", rule.line, [line.name for line in scene.lines])
        _check_keys(number, rule)


def _check_place(number: int, rule: Rule, kind: str, wanted: str | None, names: list[str]) -> None:
    if wanted is None or wanted in names:
        return
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    known = f"known: {', '.join(names)}" if names else f"there is no [[{kind}]] yet"
    message = f"rule {rule.name!r}: unknown {kind} {wanted!r}"
    raise SceneError(message, hint + known, ("rule", number, kind))


def _check_keys(number: int, rule: Rule) -> None:
    def refuse(key: str, what: str, remedy: str) -> None:
        raise SceneError(f"rule {rule.name!r}: {what}", remedy, ("rule", number, key))

    if rule.zone is not None and rule.line is not None:
        refuse("zone", "a rule has a zone or a line, not both", "make two rules of it")
    if rule.line is None and rule.direction != "both":
        refuse("direction", "direction needs a line", "name one, or leave direction out")
    if rule.line is not None and (rule.count is not None or rule.dwell):
        key = "dwell" if rule.dwell else "count"
        refuse(key, "count and dwell do not go with a line", "use a zone, or leave them out")
    if rule.min_size > rule.max_size:
        refuse("min_size", "min_size is over max_size", "exchange them")


def check_labels(scene: Scene, labels: Sequence[str], task: str) -> None:
    """What is wrong with a scene for a model with these labels.

    Raises:
        SceneError: a rule asks for a label that the model has not (the nearest is named), or for a place
            where the model finds none.
    """
    known = [label for label in labels if label]
    for number, rule in enumerate(scene.rules):
        if task == "classify" and (rule.zone or rule.line):
            raise SceneError(
                f"rule {rule.name!r}: the model says what a picture shows, not where",
                "leave zone and line out, or choose a model that detects",
                ("rule", number, "zone" if rule.zone else "line"),
            )
        for label in rule.labels:
            if label in known or (not known and label[:1] == "#" and label[1:].isdecimal()):
                continue
            close = difflib.get_close_matches(label, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise SceneError(
                f"rule {rule.name!r}: the model has no label {label!r}",
                f"{hint}edgecam model info lists them" if known else "it has numbers only: #0, #1, ...",
                ("rule", number, "labels"),
            )
