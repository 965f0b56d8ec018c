"""Kinds of settings: how a value is read from text and from TOML, checked, and shown again.

For every kind ``parse(show(value)) == value``, so what ``edgecam config`` prints can be typed back.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgecam.registry import parse_bool


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
    """

    help: str
    section: str
    kind: Kind
    metavar: str = ""
    flag: str = ""
    short: str = ""
    secret: bool = False
    uri: bool = False


def parse_normalize(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """``127.5,127.5`` or ``123.7,116.3,103.5:58.4,57.1,57.4`` to (mean, std); real = (pixel - mean) / std.

    Raises:
        ValueError: neither MEAN,STD nor M,M,M:S,S,S, or a std that is not above 0.
    """
    wanted = "MEAN,STD (127.5,127.5), or one each for R, G and B: M,M,M:S,S,S"
    left, colon, right = text.partition(":")
    try:
        if colon:
            mean, std = (tuple(float(v) for v in part.split(",")) for part in (left, right))
        else:
            mean, std = ((float(v),) for v in text.split(","))
    except ValueError:
        raise ValueError(f"expected {wanted}, got {text!r}") from None
    if {len(mean), len(std)} - {1, 3} or not all(math.isfinite(v) for v in mean + std):
        raise ValueError(f"expected {wanted}, got {text!r}")
    if min(std) <= 0:
        raise ValueError(f"expected a STD above 0, got {text!r}")
    return mean, std


def parse_listen(text: str, port: int = 8080) -> tuple[str, int]:
    """``127.0.0.1:8080``, ``[::1]:8080``, ``0.0.0.0`` or ``8080`` to (host, port).

    Raises:
        ValueError: not of one of these forms.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]/]*))(?::(\d{1,5}))?", text.strip())
    if not match or not text.strip():
        raise ValueError(f"expected HOST:PORT, for example 0.0.0.0:{port}, got {text!r}")
    host, number = match[1] or match[2] or "", match[3]
    if number is None and host.isdigit():
        host, number = "", host
    chosen = port if number is None else int(number)
    if chosen > 65535:
        raise ValueError(f"expected a port up to 65535, got {chosen}")
    return host or "127.0.0.1", chosen


def canonical_listen(text: str) -> str:
    """Any form that :func:`parse_listen` takes to ``HOST:PORT``."""
    host, port = parse_listen(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_delegate(text: str) -> tuple[str, dict[str, str]]:
    """``libname.so?option=value&other=value`` to (path, options).

    Raises:
        ValueError: no path, or an option without ``=``.
    """
    path, _, query = text.partition("?")
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ValueError(f"expected PATH?option=value&..., got {text!r}")
        options[name] = value
    if not path:
        raise ValueError(f"expected the path of a delegate library, got {text!r}")
    return path, options


def parse_role(text: str) -> tuple[str, str]:
    """``boxes=2`` to ("boxes", "2").

    Raises:
        ValueError: no ``=``, or nothing on one side of it.
    """
    role, equals, name = text.partition("=")
    if not role or not equals or not name:
        raise ValueError(f"expected ROLE=TENSOR, for example boxes=2, got {text!r}")
    return role, name


def check_device(text: str) -> None:
    """Raises ValueError where ``text`` names no device."""
    if not re.fullmatch(r"auto|cpu|(usb|pci)(:\d{1,2})?", text):
        raise ValueError(f"expected auto, cpu, usb, usb:N, pci or pci:N, got {text!r}")
