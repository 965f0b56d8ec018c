"""Reading ``edgecam.json``: values of the wrong kind become one-line errors that name the key."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from edgecam.errors import ContractError

REMEDY = "correct edgecam.json inside the model file"


class Section:
    """One JSON object of the contract.

    Args:
        values: the object.
        where: what to call it in errors (``edgecam.json input``).
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def _wrong(self, key: str, expected: str) -> NoReturn:
        shown = json.dumps(self._values[key], default=str)
        raise ContractError(f"{self._where}: {key} is {shown[:60]}, expected {expected}", REMEDY)

    def text(self, key: str) -> str | None:
        """A text in one line, None if absent."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            self._wrong(key, "a text")
        return None if value is None else "".join(c if c.isprintable() else " " for c in value)

    def choice(self, key: str, known: Iterable[str]) -> str | None:
        """One of the known words, None if absent."""
        value, names = self.text(key), sorted(known)
        if value is not None and value not in names:
            close = difflib.get_close_matches(value, names, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            self._wrong(key, f"one of {', '.join(names)}{hint}")
        return value

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """One or three finite numbers, None if absent."""
        value = self._values.get(key)
        if value is None:
            return None
        values = value if isinstance(value, list) else [value]
        good = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if not good or len(values) not in (1, 3) or not all(abs(v) < 1e9 for v in values):
            self._wrong(key, "one or three numbers")
        return tuple(float(v) for v in values)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object, empty if absent."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, dict):
            self._wrong(key, "an object")
        return value or {}

    def section(self, key: str) -> Section:
        """An object as a section of its own."""
        return Section(self.mapping(key), f"{self._where} {key}")

    def roles(self, key: str) -> dict[str, str]:
        """An object of texts; whole numbers are taken as texts too."""
        values = self.mapping(key)
        if not all(isinstance(v, str | int) and not isinstance(v, bool) for v in values.values()):
            self._wrong(key, "role: tensor name or index")
        return {role: str(value) for role, value in values.items()}

    def objects(self, key: str) -> tuple[dict[str, Any], ...]:
        """A list of objects, empty if absent."""
        value = self._values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            self._wrong(key, "a list of objects")
        return tuple(value)


def load(data: bytes, version: int) -> Section:
    """Parse ``edgecam.json`` and check its format version.

    Raises:
        ContractError: not JSON, not an object, or made for another version of edgecam.
    """
    try:
        values = json.loads(data, parse_constant=_no_constant, parse_float=_finite, parse_int=_exact)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"edgecam.json is not valid JSON ({str(error)[:80]})", REMEDY) from error
    if not isinstance(values, dict):
        raise ContractError("edgecam.json is not an object", REMEDY)
    found = values.get("edgecam")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ContractError("edgecam.json lacks its format version", 'it must begin with {"edgecam": 1, ...}')
    if found > version:
        raise ContractError(
            f"edgecam.json is of format {found}, this edgecam reads up to {version}", "update edgecam"
        )
    return Section(values, "edgecam.json")


def _exact(text: str) -> int:
    if len(text) > 16:  # 2**53, from where on JSON's numbers are no longer exact, has 16 digits
        raise ValueError("a whole number is too large")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is legal JSON
        raise ValueError(f"{text[:20]} is out of range")
    return number
