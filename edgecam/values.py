"""Values written as one text that stand for several things: an address, a delegate with its options, ..."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeAlias

#: A part of the picture: left, top, right, bottom from 0 to 1.
Region: TypeAlias = tuple[float, float, float, float]


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


def parse_decoder_option(text: str) -> tuple[str, Any]:
    """``activation=softmax`` to ("activation", "softmax"), ``transposed=true`` to ("transposed", True).

    The value is read as JSON where it is some (numbers, true, lists), else taken as text.

    Raises:
        ValueError: no ``=``, or nothing on one side of it.
    """
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise ValueError(f"expected NAME=VALUE, for example activation=softmax, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def check_device(text: str) -> None:
    """Raises ValueError where ``text`` names no device."""
    if not re.fullmatch(r"auto|cpu|(usb|pci)(:\d{1,2})?", text):
        raise ValueError(f"expected auto, cpu, usb, usb:N, pci or pci:N, got {text!r}")


def parse_region(text: str) -> Region:
    """``0.25,0.4 0.75,1`` to (left, top, right, bottom), in parts of the picture.

    Raises:
        ValueError: not two corners within the picture, the upper left one first.
    """
    wanted = "two corners X,Y X,Y in parts of the picture (0.25,0.4 0.75,1), the upper left one first"
    try:
        (left, top), (right, bottom) = (map(float, corner.split(",")) for corner in text.split())
    except ValueError:
        raise ValueError(f"expected {wanted}, got {text!r}") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):  # nor nan
        raise ValueError(f"expected {wanted}, got {text!r}")
    return left, top, right, bottom
