"""Converters for the options that several sources share; see :meth:`edgecam.registry.URI.options`."""

from __future__ import annotations


def fps(text: str) -> float:
    """Frames per second: more than 0, up to 1000."""
    value = _number(text)
    if not 0 < value <= 1000:
        raise ValueError("expected frames per second, for example 15")
    return value


def seconds(text: str) -> float:
    """A time span: 0 or more, up to a day."""
    value = _number(text)
    if not 0 <= value <= 86400:
        raise ValueError("expected seconds, for example 2.5")
    return value


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.strip().isdecimal():
        raise ValueError("expected a whole number, 0 or more")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a number") from None
