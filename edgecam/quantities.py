"""Durations and sizes as people write them: ``5m``, ``7d``, ``500M``, ``1.5G``."""

from __future__ import annotations

import math
import re

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_duration(text: str) -> float:
    """``90``, ``90s``, ``1.5m``, ``2h``, ``7d`` to seconds.

    Raises:
        ValueError: none of these.
    """
    return _value(text, _SECONDS, "a duration, for example 30s, 5m, 2h or 7d")


def parse_bytes(text: str) -> int:
    """``500M``, ``1.5G``, ``2GB``, ``1GiB`` to bytes, by powers of 1024.

    Raises:
        ValueError: none of these.
    """
    bare = re.sub(r"(?i)(?<=[kmgt])i?b$", "", text.strip())
    return int(_value(bare, _BYTES, "a size, for example 500M or 20G", text))


def show_duration(seconds: float) -> str:
    """Seconds in the largest unit that suits: ``5 min``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def show_bytes(count: float) -> str:
    """Bytes for people: ``1.5 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TB"


def _value(text: str, units: dict[str, int], wanted: str, given: str = "") -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not match or match[2] not in units or not math.isfinite(float(match[1])):
        raise ValueError(f"expected {wanted}, got {given or text!r}")
    return float(match[1]) * units[match[2]]
