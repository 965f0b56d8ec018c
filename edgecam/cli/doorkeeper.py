"""Who may open the page of a service that is installed: made where nobody has said so, and told once."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam import accounts, registry
from edgecam.accounts import Account
from edgecam.errors import UsageError
from edgecam.install import plan
from edgecam.values import canonical_listen

if TYPE_CHECKING:
    from edgecam.config import Settings
    from edgecam.install.layout import Layout
    from edgecam.install.steps import Step

ADMIN = "admin"


def with_listen(text: bytes, listen: str | None) -> bytes:
    """A settings file with another address of the page, in place of its line or before all tables."""
    if listen is None:
        return text
    try:
        line = f'listen = "{canonical_listen(listen)}"'.encode()
    except ValueError as error:
        raise UsageError(f"--listen: {error}") from error
    changed, found = re.subn(rb"(?m)^(?:# )?listen = .*$", lambda _: line, text, count=1)
    return changed if found else line + b"\n" + text


class Page:
    """The page of a service.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._layout = layout
        self._password = accounts.new_password() if self._open() else ""

    def _served(self) -> bool:
        return any(registry.sink_uri(text).scheme == "web" for text in self._settings.sinks)

    def _here_only(self) -> bool:
        from edgecam.sinks.web.auth import is_loopback

        host = self._settings.address[0]
        try:
            return host == "localhost" or is_loopback(host)
        except ValueError:
            return False

    def _open(self) -> bool:
        """Others could reach it, and nobody has said who may."""
        settings = self._settings
        said = settings.token or settings.users or settings.insecure or self._layout.users.exists()
        return self._served() and not self._here_only() and not said

    def steps(self) -> list[Step]:
        """What must be written for it."""
        if not self._password:
            return []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "users"
            accounts.save(file, [Account(ADMIN, "admin", accounts.hash_password(self._password))])
            return [plan.users(self._layout, file.read_bytes())]

    def tell(self, report: Callable[[str], None]) -> None:
        """Where it is, and once the password."""
        from edgecam.sinks.web.place import shown

        if not self._served():
            return
        settings = self._settings
        host, port = settings.address
        scheme = "https" if settings.tls or settings.tls_cert else "http"
        report(f"page: {scheme}://{shown(host)}:{port}/")
        if self._password and self._layout.users.exists():
            report(f"  name {ADMIN}, password {self._password}")
            report("  shown this once; sudo edgecam web passwd admin gives another, edgecam web more people")
        elif self._here_only():
            report(
                "  for this machine only; for the network: sudo edgecam service install --listen 0.0.0.0:8080"
            )
