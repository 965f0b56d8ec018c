"""Masks: parts of the picture that nobody may see. Standard library only, for the settings are read early."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, TypeAlias, get_args

from edgecam.options import Many, describe, toml_string
from edgecam.registry import parse_bool

Style: TypeAlias = Literal["solid", "pixelate"]
STYLES: tuple[str, ...] = get_args(Style)
Point: TypeAlias = tuple[float, float]

_KEYS = ("name", "points", "fill", "model")
_LEAST_AREA = 1e-6  # of the picture


@dataclass(frozen=True, slots=True)
class Mask:
    """A polygon of the picture that is covered.

    Attributes:
        points: (x, y) as parts of the picture's width and height, 0 to 1; at least three, edges do not cross.
        name: for people; "" for none.
        fill: ``solid``, one colour, or ``pixelate``, coarse squares.
        model: the model does not see what is under it either.
    """

    points: tuple[Point, ...]
    name: str = ""
    fill: Style = "solid"
    model: bool = False

    def __post_init__(self) -> None:
        if len(self.points) < 3:
            raise ValueError(f"{self} has {len(self.points)} points: a polygon needs at least 3")
        for x, y in self.points:
            if not (0 <= x <= 1 and 0 <= y <= 1):
                raise ValueError(f"{self}: the point {x:g},{y:g} is not within 0 to 1 (parts of the picture)")
        if self.fill not in STYLES:
            raise ValueError(f"{self}: fill is {self.fill!r}, expected one of {', '.join(STYLES)}")
        _refuse_crossing(self)
        if abs(_area(self.points)) < _LEAST_AREA:
            raise ValueError(f"{self} covers nothing: its points lie on one line")

    def __str__(self) -> str:
        return f"mask {self.name!r}" if self.name else "a mask"

    @classmethod
    def parse(cls, text: str) -> Mask:
        """``name=door 0.1,0.2 0.5,0.2 0.5,0.6 fill=pixelate model=yes``: points and options, any order.

        Raises:
            ValueError: what is wrong with it.
        """
        points, options = [], {}
        for word in text.split():
            key, equals, value = word.partition("=")
            if equals:
                options[key] = value
            else:
                points.append([_number(part, word) for part in word.split(",")])
        fields: dict[str, Any] = {**options, "points": points}
        if "model" in options:
            fields["model"] = parse_bool(options["model"])
        if "name" in options:
            fields["name"] = options["name"].replace("+", " ")
        return cls.take(fields)

    @classmethod
    def take(cls, table: Mapping[str, Any]) -> Mask:
        """From a table of the settings file.

        Raises:
            ValueError: what is wrong with it.
        """
        for key in table:
            if key not in _KEYS:
                raise ValueError(f"a mask has no {key!r}; it has {', '.join(_KEYS)}")
        points = table.get("points")
        if not isinstance(points, list) or not all(_is_point(point) for point in points):
            raise ValueError("a mask needs points = [[x, y], [x, y], [x, y], ...]")
        name, fill, model = table.get("name", ""), table.get("fill", "solid"), table.get("model", False)
        if not isinstance(name, str) or not isinstance(model, bool):
            raise ValueError("of a mask, name is a text and model is true or false")
        return cls(tuple((float(x), float(y)) for x, y in points), name, fill, model)

    @property
    def text(self) -> str:
        """What :meth:`parse` reads."""
        words = [f"name={'+'.join(self.name.split())}"] if self.name else []
        words += [f"{x:.10g},{y:.10g}" for x, y in self.points]
        words += [f"fill={self.fill}"] if self.fill != "solid" else []
        return " ".join(words + ["model=yes"] * self.model)

    @property
    def toml(self) -> str:
        """An inline table of TOML."""
        parts = [f"name = {toml_string(self.name)}"] if self.name else []
        parts.append("points = [" + ", ".join(f"[{x!r}, {y!r}]" for x, y in self.points) + "]")
        parts += [f"fill = {toml_string(self.fill)}"] if self.fill != "solid" else []
        return "{" + ", ".join(parts + ["model = true"] * self.model) + "}"


class Masks(Many):
    """The setting: ``[[mask]]`` tables in a file, texts in flags, texts divided by ``;`` in a variable."""

    def __init__(self) -> None:
        super().__init__(";", "masks", check=Mask.parse)
        self.expected = "tables: [[mask]] with points = [[x, y], [x, y], [x, y]]"

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict | str) for item in value):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return self.checked(Mask.take(item).text if isinstance(item, dict) else item for item in value)

    def toml(self, value: Sequence[str]) -> str:
        return "[" + ", ".join(Mask.parse(text).toml for text in value) + "]"


def _number(text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a point X,Y or an option NAME=VALUE of a mask, got {word!r}") from None


def _is_point(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )


def _area(points: Sequence[Point]) -> float:
    """Signed, as part of the picture (the shoelace formula)."""
    turned = [*points[1:], points[0]]
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, turned, strict=True)) / 2


def _refuse_crossing(mask: Mask) -> None:
    """A polygon that crosses itself has parts that some fill and others leave open: refused, not guessed."""
    corners = mask.points
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    for (i, (a, b)), (j, (c, d)) in combinations(enumerate(edges, 1), 2):
        if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
            raise ValueError(f"{mask} crosses itself: edges {i} and {j}; give its corners in their order")


def _side(a: Point, b: Point, p: Point) -> float:
    """On which side of the line from a to b the point lies: the sign."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
