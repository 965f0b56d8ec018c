"""Who may look: a token, or nobody but this machine.

Two dangers are met here. Strangers on the network: an address other than loopback needs a token. And
strangers' web pages in the user's own browser, which reach 127.0.0.1 too: without a token a request must name
the machine by an address or by one of its own names, since a page that has rebound its DNS name sends that.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Grant = Literal["open", "token", "cookie", ""]

# Endings of names that nobody can register on the internet.
_PRIVATE = ("", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box")


@dataclass(frozen=True)
class Access:
    """The rules of one server.

    Attributes:
        token: what to show, or "" where everybody who reaches the port may look.
        cookie: name of the cookie that stands for the token; it holds the port, since cookies ignore ports.
        shared: other sites' pages may embed the pictures (the user chose an open page).
        names: host names that a request without token may come for; addresses are always right.
    """

    token: str
    cookie: str
    shared: bool = False
    names: frozenset[str] = frozenset()

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: proof of the token, not the token."""
        return hmac.new(self.token.encode(), b"edgecam page", hashlib.sha256).hexdigest()

    def grant(self, query: str | None, bearer: str | None, cookie: str | None) -> Grant:
        """How the request is let in, "" if it is not. Compares in constant time."""
        if not self.token:
            return "open"
        for shown in (query, bearer):
            if shown is not None and _same(shown, self.token):
                return "token"
        if cookie is not None and _same(cookie, self.cookie_value):
            return "cookie"
        return ""

    def right_host(self, header: str) -> bool:
        """Whether a Host header names this machine. With a token every name is right: no cookie, no entry."""
        if self.token:
            return True
        host = split_host(header)
        return _is_address(host) or host in self.names


def make_access(
    address: str, port: int, *, token: str, insecure: bool, names: Iterable[str] = ()
) -> tuple[Access, bool]:
    """The rules for a server bound to ``address``, and whether a token was made up for it."""
    loopback = is_loopback(address)
    made = not (token or insecure or loopback)
    if made:
        token = secrets.token_urlsafe(12)
    known = own_names() | {name.lower() for name in names}
    shared = insecure and not token
    return Access(token, f"edgecam-{port}", shared, known), made


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def own_names() -> frozenset[str]:
    """``localhost`` and the machine's name with the endings that home routers and mDNS give it."""
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    return frozenset({"localhost", own, *(short + ending for ending in _PRIVATE)})


def split_host(header: str) -> str:
    """The host of a Host header, lower case, without port and brackets; "" if it is malformed."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/@\s]+))(?::\d*)?", header.strip())
    return (match[1] or match[2]).lower().rstrip(".") if match else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _same(shown: str, right: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
