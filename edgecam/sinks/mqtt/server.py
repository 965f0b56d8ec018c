"""Which broker, and how to get in: read from ``mqtt://user@host:port/topic?...``."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edgecam import references
from edgecam.errors import UsageError
from edgecam.registry import URI, choice

PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True)
class Server:
    """A broker.

    Attributes:
        tls: None for a connection in the clear.
        client_id: by which the broker knows the session; two of the same push each other out.
        version: of MQTT, ``5`` or ``3.1.1``.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    client_id: str = ""
    version: str = "5"
    keepalive: int = 30

    @property
    def name(self) -> str:
        """For people, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def server_options() -> dict[str, Any]:
    """The options that :func:`read_server` understands, for :meth:`~edgecam.registry.URI.options`."""
    return {
        "user": (str, ""),
        "password": (str, ""),
        "ca": (str, ""),
        "cert": (str, ""),
        "key": (str, ""),
        "tls_verify": (choice("yes", "no"), "yes"),
        "client_id": (str, ""),
        "version": (choice("5", "3.1.1"), "5"),
    }


def read_server(uri: URI, options: dict[str, Any]) -> Server:
    """The broker that a URI names.

    Args:
        uri: ``mqtt:`` or ``mqtts:``.
        options: its options, :func:`server_options` among them.

    Raises:
        UsageError: no host, a secret that is not there, or a certificate that cannot be read.
    """
    host, port = uri.netloc
    if not host:
        raise UsageError(
            f"{uri.safe} names no broker", "write mqtt://host/edgecam or mqtt://host:1883/edgecam"
        )
    parts = urlsplit(uri.text)
    user = options["user"] or unquote(parts.username or "")
    password = options["password"] or unquote(parts.password or "")
    secure = uri.scheme == "mqtts"
    if password and not user:
        raise UsageError(f"{uri.safe}: a password without a user", f"write {uri.scheme}://USER@{host}")
    named = [name for name in ("ca", "cert", "key") if options[name]]
    if named and not secure:
        raise UsageError(
            f"{uri.safe}: {named[0]}= is for an encrypted connection", "write mqtts:// in place of mqtt://"
        )
    return Server(
        host=host,
        port=port or (TLS_PORT if secure else PORT),
        tls=_tls(uri, options) if secure else None,
        user=user,
        password=references.value(password),
        client_id=options["client_id"],
        version=options["version"],
    )


def _tls(uri: URI, options: dict[str, Any]) -> ssl.SSLContext:
    ca, cert, key = (str(Path(options[n]).expanduser()) if options[n] else "" for n in ("ca", "cert", "key"))
    if key and not cert:
        raise UsageError(f"{uri.safe}: key= without cert=", "name the client's certificate too")
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as error:
        missing = next((path for path in (ca, cert, key) if path and not Path(path).is_file()), "")
        what = f"{missing} is not there" if missing else f"a certificate or key is no good ({error})"
        raise UsageError(f"{uri.safe}: {what}", "ca=, cert= and key= name PEM files") from error
    if options["tls_verify"] == "no":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
