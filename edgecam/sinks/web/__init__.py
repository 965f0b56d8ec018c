"""The web page: live picture, results and state in the browser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from edgecam import jpeg
from edgecam.errors import UsageError
from edgecam.registry import URI, parse_bool
from edgecam.sinks.base import SinkContext
from edgecam.types import Frame, Packet

if TYPE_CHECKING:
    from edgecam.sinks.web.auth import Access

HOST = "127.0.0.1"
PORT = 8080

T = TypeVar("T", int, float)


class WebSink:
    """Serves the page, an MJPEG stream, snapshots, server-sent events, a health check and metrics.

    ``web:`` listens on 127.0.0.1:8080. ``web://0.0.0.0:9000`` lets other machines in, with a token that is
    made and reported unless ``token=`` or ``insecure=yes`` is given. Options: ``port`` (0 takes a free
    one), ``token``, ``insecure``, ``names`` (further host names the page may be called by, comma
    separated), ``quality`` (JPEG, 1 to 100) and ``fps`` (pictures encoded a second at most).

    It never makes the pipeline wait, not even for a file: viewers get the newest picture.

    Attributes:
        url: the page's address, without token; "" before :meth:`start`.
        link: the address that opens the page, with the token if there is one.

    Raises:
        UsageError: a wrong option.
    """

    def __init__(self, uri: URI) -> None:
        self._host, port = _where(uri)
        self._options = uri.options(
            port=(_number(int, 0, 65535), port),
            token=(str, ""),
            insecure=(parse_bool, False),
            names=(_names, ()),
            quality=(_number(int, 1, 100), 80),
            fps=(_number(float, 0.1, 1000), 30.0),
        )
        self.name = uri.safe
        self.dropped = 0
        self.failed = ""
        self.url = ""
        self.link = ""
        self._running: _Running | None = None

    def start(self, context: SinkContext) -> None:
        from edgecam.sinks.web.auth import is_loopback, make_access
        from edgecam.sinks.web.server import bind

        options = self._options
        sock = bind(self._host, options["port"])
        address, port = sock.getsockname()[:2]
        access, made = make_access(
            address, port, token=options["token"], insecure=options["insecure"], names=options["names"]
        )
        self.url = f"http://{_shown(address)}:{port}/"
        self.link = f"{self.url}?token={quote(access.token, safe='')}" if access.token else self.url
        self._running = _Running(sock, access, options["quality"], options["fps"])
        if made:
            context.report(f"page: {self.link}")
        elif access.token:
            context.report(f"page: {self.url} (asks for your token)")
        elif is_loopback(address):
            context.report(f"page: {self.url}")
        else:
            context.report(f"page: {self.url} (open to everybody who reaches this machine)")

    def push(self, packet: Packet) -> None:
        running = self._running
        if running is None:
            return
        running.site.feed.add(packet.events)
        running.hub.push(packet)
        running.site.figures.observe(packet)
        self.dropped = running.hub.dropped
        self.failed = running.server.failed

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self.dropped = self._running.hub.dropped
            self._running = None


class _Running:
    """What exists between start and close."""

    def __init__(self, sock: socket.socket, access: Access, quality: int, fps: float) -> None:
        from edgecam.sinks.web.gate import Gate
        from edgecam.sinks.web.hub import Hub
        from edgecam.sinks.web.server import ServerThread
        from edgecam.sinks.web.site import Site

        def annotated(packet: Packet) -> bytes:
            return jpeg.encode(packet.picture(), quality)

        def raw(frame: Frame) -> bytes:
            return frame.jpeg or jpeg.encode(frame.image, quality)

        loop = asyncio.new_event_loop()
        self.hub = Hub(loop, annotated, fps)
        self.site = Site(self.hub, raw, Path(__file__).parent / "page")
        self.server = ServerThread(loop)
        self.hub.start()
        self.server.start(Gate(self.site.app, access, self.site.sign_in), sock)

    def close(self) -> None:
        self.hub.close(timeout=1.0)
        self.server.close(grace=0.7, timeout=2.0)


def _where(uri: URI) -> tuple[str, int]:
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
        return HOST, _number(int, 0, 65535)(uri.path)
    except ValueError as error:
        raise UsageError(f"{uri.safe} names no address", form) from error


def _number(kind: Callable[[str], T], low: T, high: T) -> Callable[[str], T]:
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


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _shown(address: str) -> str:
    """The host to print for a bound address: for "all addresses" the one that other machines reach."""
    if address in ("0.0.0.0", "::"):
        return _lan_address() or socket.gethostname()
    return f"[{address}]" if ":" in address else address


def _lan_address() -> str:
    """This machine's IPv4 address towards the network, "" without one. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Choosing a route for a UDP socket needs no packet; the address is one kept for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
