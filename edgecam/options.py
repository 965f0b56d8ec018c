"""Kinds of settings: how a value is read from text and from TOML, checked, and shown again.

For every kind ``parse(show(value)) == value``, so what ``edgecam config`` prints can be typed back.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from edgecam.registry import parse_bool

T = TypeVar("T")


class Kind(Protocol):
    """One kind of value. ``expected`` completes the sentence "expected ..."."""

    expected: str

    def parse(self, text: str) -> Any:
        """The value of a flag or an environment variable. Raises ValueError naming what is expected."""

    def take(self, value: object) -> Any:
        """The value of a TOML key. Raises ValueError naming what is expected and what was found."""

    def show(self, value: Any) -> str:
        """The value as text, such that ``parse`` reads it back."""

    def toml(self, value: Any) -> str:
        """The value as TOML."""


def describe(value: object) -> str:
    """What a TOML value is, for people: ``the text "high"``, ``the number 3``."""
    names = {bool: "", int: "the number ", float: "the number ", str: "the text ", list: "the list "}
    if type(value) in names:
        return names[type(value)] + json.dumps(value, ensure_ascii=False, default=str)
    return "a table" if isinstance(value, dict) else f"{value}"


def toml_string(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


class Text:
    """A text.

    Args:
        expected: completes the sentence "expected ...".
        choices: the only texts allowed, where there are only a few.
        check: raises ValueError where the text is wrong.
        path: a leading ``~`` is the home folder.
        canonical: brings a good text into one form.
    """

    def __init__(
        self,
        expected: str = "a text",
        *,
        choices: Sequence[str] = (),
        check: Callable[[str], object] | None = None,
        path: bool = False,
        canonical: Callable[[str], str] | None = None,
    ) -> None:
        self.choices = tuple(choices)
        self.expected = f"one of {', '.join(choices)}" if choices else expected
        self._check = check
        self._path = path
        self._canonical = canonical

    def parse(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise ValueError(f"expected {self.expected}, got {text!r}")
        if self._check is not None:
            self._check(text)
        if self._canonical is not None:
            text = self._canonical(text)
        return os.path.expanduser(text) if self._path else text  # noqa: PTH111 - not every text is a path

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return self.parse(value)

    def show(self, value: str) -> str:
        return value

    def toml(self, value: str) -> str:
        return toml_string(value)


class Number:
    """An int or a float (``type``) from ``low`` to ``high``, both allowed."""

    def __init__(self, type: type[int] | type[float], low: float, high: float = math.inf) -> None:
        self._type, self._low, self._high = type, low, high
        word = "a whole number" if type is int else "a number"
        self.expected = f"{word} from {low:g}" + ("" if high == math.inf else f" to {high:g}")

    def parse(self, text: str) -> float:
        try:
            number = self._type(text)
        except ValueError:
            raise ValueError(f"expected {self.expected}, got {text!r}") from None
        return self._bounded(number)

    def take(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        if self._type is int and not isinstance(value, int):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return self._bounded(self._type(value))

    def show(self, value: float) -> str:
        return repr(value).removesuffix(".0")

    toml = show

    def _bounded(self, number: float) -> float:
        if not (self._low <= number <= self._high) or not math.isfinite(number):
            raise ValueError(f"expected {self.expected}, got {number}")
        return number


class Switch:
    """On or off."""

    expected = "true or false"

    def parse(self, text: str) -> bool:
        try:
            return parse_bool(text)
        except ValueError:
            raise ValueError(f"expected {self.expected}, got {text!r}") from None

    def take(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return value

    def show(self, value: bool) -> str:
        return "true" if value else "false"

    toml = show


class Many:
    """Several texts. In a variable they are split at ``separator``; at " " with the quoting rules of a shell.

    A flag is given once for each.
    """

    def __init__(self, separator: str, what: str, check: Callable[[str], object] | None = None) -> None:
        self._separator = separator
        self._check = check
        self.expected = f"a list of {what}"

    def parse(self, text: str) -> tuple[str, ...]:
        if self._separator == " ":
            try:
                items = shlex.split(text)
            except ValueError as error:
                raise ValueError(f"expected {self.expected}, got {text!r} ({error})") from None
        else:
            items = [item.strip() for item in text.split(self._separator)]
        return self.checked(item for item in items if item)

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"expected {self.expected}, got {describe(value)}")
        return self.checked(value)

    def checked(self, items: Any) -> tuple[str, ...]:
        out = tuple(items)
        for item in out:
            if self._check is not None:
                self._check(item)
        return out

    def show(self, value: Sequence[str]) -> str:
        return shlex.join(value) if self._separator == " " else self._separator.join(value)

    def toml(self, value: Sequence[str]) -> str:
        return "[" + ", ".join(toml_string(item) for item in value) + "]"


@dataclass(frozen=True)
class Option:
    """What there is to know of a setting beyond its name and default.

    Attributes:
        help: one sentence, without a full stop.
        section: the heading it stands under.
        kind: how its value is read.
        metavar: what stands for the value in a help text, "" for a switch.
        flag: the long flag; made from the name if "".
        short: a one-letter flag, or "".
        secret: never shown.
        uri: may hold credentials that must not be shown.
        example: a value as text, where the default is none.
        file_only: too much for a flag: it stands in a file, or in a variable.
    """

    help: str
    section: str
    kind: Kind
    metavar: str = ""
    flag: str = ""
    short: str = ""
    secret: bool = False
    uri: bool = False
    example: str = ""
    file_only: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values allowed, () where there are more than a few."""
        return self.kind.choices if isinstance(self.kind, Text) else ()


def setting(default: T, kind: Kind, section: str, help: str, metavar: str = "", **more: Any) -> T:
    """A field of the settings; its :class:`Option` is in the field's metadata."""
    option = Option(help, section, kind, metavar, **more)
    return field(default=default, metadata={"option": option})
