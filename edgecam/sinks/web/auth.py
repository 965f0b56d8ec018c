"""Who may look: people with a password, programs with a token, or nobody but this machine.

Two dangers are met here. Strangers on the network: an address other than loopback needs a password or a
token. And strangers' web pages in the user's own browser, which reach 127.0.0.1 too: a request must name the
machine by an address or by one of its own names, since a page that has rebound its DNS name sends that.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from edgecam import accounts
from edgecam.accounts import Account, Role

Way = Literal["open", "token", "session"]

# Endings of names that nobody can register on the internet.
_PRIVATE = ("", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box")
#: The name of who shows the token of the settings.
TOKEN = "token"


@dataclass(frozen=True)
class Grant:
    """How a request was let in.

    Attributes:
        way: ``open`` where nothing is asked for.
        name: of the account, "" for an open page.
    """

    way: Way
    name: str
    role: Role


OPEN = Grant("open", "", "admin")


@dataclass(frozen=True)
class Access:
    """The rules of one server.

    Attributes:
        token: lets in as ``admin``; "" where there is none.
        cookie: name of the cookie of a session; it holds the port, since cookies ignore ports.
        users: people with passwords, and further tokens.
        shared: other sites' pages may embed the pictures (the user chose an open page).
        names: host names that a request without token may come for; addresses are always right.
    """

    token: str
    cookie: str
    users: tuple[Account, ...] = ()
    shared: bool = False
    names: frozenset[str] = frozenset()

    @property
    def asks(self) -> bool:
        """Not everybody who reaches the port may look."""
        return bool(self.token or self.users)

    @property
    def has_passwords(self) -> bool:
        return any(not account.is_token for account in self.users)

    def by_token(self, shown: str) -> Grant | None:
        """Whom a token lets in. Compares in constant time."""
        if self.token and hmac.compare_digest(
            shown.encode("utf-8", "replace"), self.token.encode("utf-8", "replace")
        ):
            return Grant("token", TOKEN, "admin")
        for account in self.users:
            if account.is_token and accounts.right_token(shown, account.secret):
                return Grant("token", account.name, account.role)
        return None

    def by_password(self, name: str, password: str) -> Grant | None:
        """Whom a password lets in. Slow on purpose, and as slow for a name that there is not."""
        for account in self.users:
            if account.name == name and not account.is_token:
                right = accounts.right_password(password, account.secret)
                return Grant("session", account.name, account.role) if right else None
        accounts.right_password(password, self._nobody)
        return None

    @cached_property
    def _nobody(self) -> str:
        return accounts.hash_password("")

    def proof(self, name: str) -> str:
        """What a session of this name must have begun with: no longer true once its secret has changed."""
        secret = self.token if name == TOKEN else next((u.secret for u in self.users if u.name == name), "")
        return (
            hashlib.sha256(b"edgecam session\0" + secret.encode("utf-8", "replace")).hexdigest()
            if secret
            else ""
        )

    def role(self, name: str) -> Role:
        return next(
            (user.role for user in self.users if user.name == name), "admin" if name == TOKEN else "viewer"
        )

    def right_host(self, header: str) -> bool:
        """Whether a Host header names this machine."""
        host = split_host(header)
        return _is_address(host) or host in self.names


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
