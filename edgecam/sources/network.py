"""Addresses of network cameras, and connections to them whose failures can be told in one line."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from edgecam.errors import SourceError, UsageError
from edgecam.redact import printable
from edgecam.registry import URI

DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


@dataclass(frozen=True)
class Address:
    """Where a camera is. ``url`` holds its credentials: show ``at`` or the URI's ``safe`` instead.

    Attributes:
        url: the whole URL, without the options that are ours.
        bare: the same without user and password.
        scheme: lower case.
        host: name or number, without brackets.
        port: the scheme's own if the URL names none.
        target: path and query, as sent to the camera.
        user: decoded; "" if there is none.
        password: decoded.
    """

    url: str
    bare: str
    scheme: str
    host: str
    port: int
    target: str
    user: str
    password: str

    @property
    def at(self) -> str:
        """``host:port``, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(uri: URI, own: frozenset[str] = frozenset()) -> Address:
    """Take a camera's URL apart.

    Args:
        uri: the source's URI.
        own: options in its query that are meant for us; all others belong to the camera, and stay.

    Raises:
        UsageError: no host in it, or not a URL.
    """
    host, port = uri.netloc
    if not host:
        raise UsageError(f"{uri.safe} names no host", f"write {uri.scheme}://HOST/PATH")
    parts = urlsplit(uri.text)
    kept = "&".join(p for p in parts.query.split("&") if p.partition("=")[0] not in own)
    place = parts.netloc.rpartition("@")[2]
    target = urlunsplit(("", "", parts.path or "/", kept, ""))
    return Address(
        url=urlunsplit((uri.scheme, parts.netloc, parts.path, kept, "")),
        bare=urlunsplit((uri.scheme, place, parts.path, kept, "")),
        scheme=uri.scheme,
        host=host,
        port=port or DEFAULT_PORTS[uri.scheme],
        target=target,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def connect(to: Address, timeout: float, verify: bool = True) -> socket.socket:
    """A connected socket (TLS for https and rtsps) with ``timeout`` seconds on each operation.

    Raises:
        SourceError: it tells apart an unknown name, nobody there, no answer and a certificate that fails.
    """
    try:
        sock = socket.create_connection((to.host, to.port), timeout)
    except socket.gaierror as error:
        raise SourceError(f"no host is called {to.host!r}", "check the name, or use the number") from error
    except (TimeoutError, OSError) as error:
        raise _unreachable(to, error, timeout) from error
    # Keeps a dead camera from looking like a silent one for hours.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return _secure(sock, to, timeout, verify) if to.scheme in {"https", "rtsps"} else sock


def _unreachable(to: Address, error: OSError, timeout: float) -> SourceError:
    if isinstance(error, TimeoutError):
        return SourceError(
            f"{to.at} does not answer within {timeout:g} s",
            "check that the camera is on, and in this network",
        )
    if error.errno == errno.ECONNREFUSED:
        return SourceError(f"nothing listens at {to.at}", "check the port, and that the camera has started")
    return SourceError(f"{to.at} cannot be reached ({error.strerror or error})", "check the network")


def _secure(sock: socket.socket, to: Address, timeout: float, verify: bool) -> socket.socket:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(sock, server_hostname=to.host)
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise SourceError(
            f"the certificate of {to.at} is not trusted ({error.verify_message})",
            "add tls_verify=no to the URL if the camera signed it itself",
        ) from error
    except OSError as error:
        sock.close()
        what = f"does not answer within {timeout:g} s" if isinstance(error, TimeoutError) else "speaks no TLS"
        raise SourceError(f"{to.at} {what}", f"try {to.scheme.removesuffix('s')}://") from error


def refusal(to: Address, status: int, reason: str) -> SourceError:
    """What a status other than 200 means, for a person who set up a camera."""
    if status == 401 and not to.user:
        return SourceError(
            f"the camera at {to.at} wants user and password",
            f"write {to.scheme}://USER:PASSWORD@{to.host}/...",
        )
    if status == 401:
        return SourceError(
            f"wrong user or password for the camera at {to.at}",
            "signs like @ : / # in them are written %40 %3A %2F %23",
        )
    if status == 403:
        return SourceError(
            f"the camera at {to.at} forbids {path_of(to)}", "check the user's rights on the camera"
        )
    if status == 404:
        return SourceError(
            f"the camera at {to.at} has no stream {path_of(to)}", "look up the path in its manual or settings"
        )
    words = printable(reason, 80)  # the camera's own: it must not steer a terminal
    return SourceError(f"the camera at {to.at} answers {status} {words}".rstrip(), "see its own log")


def path_of(to: Address) -> str:
    """The target, fit to be shown: what looks like a secret in its query is hidden."""
    return printable(URI(to.scheme, "", {}, to.target).safe)
