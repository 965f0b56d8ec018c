"""What the tests of this folder share."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from edgecam import accounts, jpeg
from edgecam.accounts import Account
from edgecam.errors import ConfigError
from edgecam.scene import RULES
from edgecam.sinks.web import WebSink
from tests.sinks import web_support
from tests.sinks.web_support import noise

PASSWORD = "correct horse battery"
HTML = {"accept": "text/html"}
ANNA = {"name": "anna", "password": PASSWORD}
BEN = {"name": "ben", "password": PASSWORD}
TOKEN = "t0ken-of-prometheus-which-is-long"
# The cost of a hash is for attackers, not for tests: N = 2.
CHEAP = "scrypt$1$1$1$"


class Book(web_support.Book):
    """Takes anything but entries without a name and rules that are none."""

    def check(self, wanted: Any) -> None:
        for entries in wanted.values():
            if not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
                raise ConfigError("zone: name is missing")
        try:
            RULES.take(wanted.get("rule", []))
        except ValueError as error:
            raise ConfigError(f"rule: {error}") from error


def cheap_hash(password: str) -> str:
    salt = b"0123456789abcdef"
    made = hashlib.scrypt(password.encode(), salt=salt, n=2, r=1, p=1, dklen=32)
    return CHEAP + base64.b64encode(salt).decode() + "$" + base64.b64encode(made).decode()


def users_file(folder: Path) -> Path:
    """anna is admin and ben viewer, both with :data:`PASSWORD`; prometheus has :data:`TOKEN`."""
    file = folder / "users"
    accounts.save(
        file,
        [
            Account("anna", "admin", cheap_hash(PASSWORD)),
            Account("ben", "viewer", cheap_hash(PASSWORD)),
            Account("prometheus", "viewer", accounts.hash_token(TOKEN)),
        ],
    )
    return file


def folder_with_a_snapshot(folder: Path) -> Path:
    """What ``snapshots:`` leaves behind, with one event."""
    day = folder / "kept" / "2026-07-04"
    day.mkdir(parents=True)
    event = {
        "id": "e1",
        "phase": "end",
        "rule": "visitor",
        "label": "person",
        "kind": "zone",
        "seconds": 2.0,
        "start": {"time": 1783000000.0},
        "type": "event",
        "place": "door",
        "end": {"time": 1783000002.0},
        "best": {"time": 1783000001.0, "score": 0.9},
    }
    (day / "snapshot-101500-e1.jpg").write_bytes(jpeg.encode(noise(1, (64, 48)), 80))
    (day / "snapshot-101500-e1.json").write_text(json.dumps({"event": event}))
    (folder / "kept" / "secret.txt").write_text("TOP SECRET")
    return folder / "kept"


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def put(client: httpx.Client, **headers: str) -> httpx.Response:
    """Change the settings as the page does, but for some headers."""
    found = client.get("/api/settings")
    sent = {"content-type": "application/json", "x-edgecam-secret": found.json().get("secret", "")}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put("/api/settings", content=json.dumps({"version": "v1", "zone": []}), headers=sent)


def place(sink: WebSink) -> tuple[str, int]:
    where = urlsplit(sink.url)
    assert where.hostname and where.port
    return where.hostname, where.port


def raw(sink: WebSink, data: bytes, timeout: float = 10.0) -> bytes:
    """All that the server says to these bytes, until it closes or falls silent."""
    with socket.create_connection(place(sink), timeout) as sock:
        sock.sendall(data)
        got = b""
        try:
            while chunk := sock.recv(65536):
                got += chunk
        except (TimeoutError, ConnectionError):
            pass
    return got
