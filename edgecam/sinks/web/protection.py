"""What protects a page that is about to be served (users, names, TLS), and what to tell of it."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgecam import accounts, journal, state
from edgecam.sinks.web import tls
from edgecam.sinks.web.auth import Access, is_loopback, own_names
from edgecam.sinks.web.place import lan_address, shown
from edgecam.sinks.web.sessions import Sessions

log = logging.getLogger(__name__)

# New settings make nobody sign in again, even where nothing can be kept in files.
_sessions: dict[str, Sessions] = {}


@dataclass(frozen=True)
class Protection:
    """
    Attributes:
        url: of the page, without token.
        link: with the token, if there is one.
        certificate: files of certificate and key, None without TLS.
        words: lines for the user.
    """

    access: Access
    sessions: Sessions
    url: str
    link: str
    certificate: tuple[Path, Path] | None
    words: tuple[str, ...]


def protect(sock: socket.socket, options: Mapping[str, Any]) -> Protection:
    """
    Args:
        sock: bound to the page's address.
        options: of the ``web:`` sink.

    Raises:
        UsageError: the file of users is no good.
        SinkError: there is no certificate to be had.
    """
    address, port = sock.getsockname()[:2]
    users = accounts.read(Path(options["users"])) if options["users"] else ()
    needed = not (options["token"] or users or options["insecure"] or is_loopback(address))
    kept, file = _kept_token(port) if needed else ("", None)
    known = own_names() | {name.lower() for name in options["names"]}
    token = options["token"] or kept
    shared = bool(options["insecure"] and not (token or users))
    access = Access(token, f"edgecam-{port}", users, shared, known)
    certificate, told = _certificate(options, address)
    url = f"{'https' if certificate else 'http'}://{shown(address)}:{port}/"
    link = f"{url}?token={quote(token, safe='')}" if token else url
    if needed and journal.connected():
        # A journal is read by more people than a terminal, and kept.
        words = f"page: {url} (asks for a token, kept in {file}; edgecam web passwd NAME makes a password)"
    elif needed:
        words = f"page: {link}"
    else:
        words = f"page: {url}" + _how(access, address)
    return Protection(access, _sessions_of(access, port), url, link, certificate, (words, *told))


def _how(access: Access, address: str) -> str:
    if access.has_passwords:
        return " (asks for name and password)"
    if access.asks:
        return " (asks for your token)"
    return "" if is_loopback(address) else " (open to everybody who reaches this machine)"


def _kept_token(port: int) -> tuple[str, Path]:
    """The token made for a page that has none, the same at every start where it can be kept."""
    file = state.folder() / f"page-token-{port}"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept = file.read_text(encoding="ascii").strip()
        if len(kept) >= 16:
            return kept, file
    token = secrets.token_urlsafe(12)
    try:
        state.write(file, f"{token}\n".encode())
    except OSError as error:
        log.info("%s cannot be written (%s): the token is another one at each start", file, error.strerror)
    return token, file


def _sessions_of(access: Access, port: int) -> Sessions:
    file = state.folder() / f"page-sessions-{port}.json" if access.asks else None
    if file is not None and access.cookie in _sessions:
        _sessions[access.cookie].rule(access.proof)
    else:
        _sessions[access.cookie] = Sessions(file, access.proof)
    return _sessions[access.cookie]


def _certificate(options: Mapping[str, Any], address: str) -> tuple[tuple[Path, Path] | None, list[str]]:
    """Files for TLS, and what to tell of them."""
    if options["cert"]:
        given = tls.Certificate(Path(options["cert"]).expanduser(), Path(options["key"]).expanduser())
        given.check()
        return (given.certificate, given.key), []
    if not options["tls"]:
        return None, []
    found = tls.own(state.folder(), _names(address, options["names"]))
    words = (
        f"certificate: made by edgecam, so browsers warn once; its SHA-256 fingerprint is {found.fingerprint}"
    )
    return (found.certificate, found.key), [words]


def _names(address: str, more: Iterable[str]) -> list[str]:
    """Whom a certificate is for: all that the machine is called, and its addresses."""
    host = socket.gethostname().lower()
    names = [
        host,
        *sorted(own_names() - {host}),
        *more,
        "127.0.0.1",
        "::1",
        lan_address(),
        address.partition("%")[0],
    ]
    return [name for name in dict.fromkeys(names) if name and name not in ("0.0.0.0", "::")]
