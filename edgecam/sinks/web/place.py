"""Where the page is: what a ``web:`` URI says, and what to print of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from edgecam.errors import UsageError
from edgecam.registry import URI

HOST = "127.0.0.1"
PORT = 8080

T = TypeVar("T", int, float)


def where(uri: URI) -> tuple[str, int]:
    """Host and port of ``web:``, ``web:9000`` or ``web://host:9000``."""
    form = "write web:, web:9000 or web://0.0.0.0:9000"
    if uri.path.startswith("//"):
        host, port = uri.netloc
        place = uri.path[2:].rstrip("/")
        if "@" in place or "/" in place:
            raise UsageError(f"{uri.safe}: only a host and a port go after web://", form)
        return host or HOST, PORT if port is None else port
    if not uri.path:
        return HOST, PORT
    try:
        return HOST, number(int, 0, 65535)(uri.path)
    except ValueError as error:
        raise UsageError(f"{uri.safe} names no address", form) from error


def number(kind: Callable[[str], T], low: T, high: T) -> Callable[[str], T]:
    """A converter for a number between two bounds."""

    def convert(text: str) -> T:
        wanted = f"expected a number from {low} to {high}"
        try:
            value = kind(text)
        except ValueError as error:
            raise ValueError(wanted) from error
        if not low <= value <= high:
            raise ValueError(wanted)
        return value

    return convert


def shown(address: str) -> str:
    """The host to print for a bound address: for "all addresses" the one that other machines reach."""
    if address in ("0.0.0.0", "::"):
        return lan_address() or socket.gethostname()
    return f"[{address}]" if ":" in address else address


def lan_address() -> str:
    """This machine's IPv4 address towards the network, "" without one. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Choosing a route for a UDP socket needs no packet; the address is one kept for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
