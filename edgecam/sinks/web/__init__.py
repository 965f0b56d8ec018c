"""The web page: live picture, results and state in the browser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from edgecam import jpeg
from edgecam.errors import UsageError
from edgecam.registry import URI, parse_bool, parse_names
from edgecam.sinks.base import SinkContext
from edgecam.sinks.web import neighbours
from edgecam.types import Frame, Packet

if TYPE_CHECKING:
    from edgecam.sinks.web.auth import Access

HOST = "127.0.0.1"
PORT = 8080

T = TypeVar("T", int, float)

_made: dict[tuple[str, int], str] = {}


class WebSink:
    """Serves the page, an MJPEG stream, snapshots, server-sent events, a health check and metrics.

    ``web:`` listens on 127.0.0.1:8080. ``web://0.0.0.0:9000`` lets other machines in, with a token that is
    made and reported unless ``token=`` or ``insecure=yes`` is given. Options: ``port`` (0 takes a free
    one), ``token``, ``insecure``, ``names`` (further host names the page may be called by, comma
    separated), ``quality`` (JPEG, 1 to 100), ``fps`` (pictures a second at most), ``edit`` (zones, lines
    and masks may be drawn in the page and are written to the settings file) and ``cameras`` (other pages).

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
            names=(parse_names, ()),
            quality=(_number(int, 1, 100), 80),
            fps=(_number(float, 0.1, 1000), 30.0),
            edit=(parse_bool, False),
            cameras=(neighbours.parse, ()),
        )
        options = self._options
        if options["edit"] and options["insecure"] and not options["token"]:
            raise UsageError(
                f"{uri.safe}: edit=yes would let everybody change the settings",
                "leave insecure out, or give a token",
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
        # A token that was made lasts as long as the process: new settings make nobody sign in again.
        kept = "" if options["insecure"] else _made.get((address, port), "")
        access, made = make_access(
            address,
            port,
            token=options["token"] or kept,
            insecure=options["insecure"],
            names=options["names"],
        )
        if made:
            _made[address, port] = access.token
        made = made or bool(kept and not options["token"])
        self.url = f"http://{_shown(address)}:{port}/"
        self.link = f"{self.url}?token={quote(access.token, safe='')}" if access.token else self.url
        self._running = _Running(sock, access, options, context)
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
        running.site.observe(packet)
        running.hub.push(packet)
        self.dropped = running.hub.dropped
        self.failed = running.server.failed

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self.dropped = self._running.hub.dropped
            self._running = None


class _Running:
    """What exists between start and close."""

    def __init__(
        self, sock: socket.socket, access: Access, options: Mapping[str, Any], context: SinkContext
    ) -> None:
        from edgecam.sinks.web.editing import SceneApi
        from edgecam.sinks.web.gate import Gate
        from edgecam.sinks.web.hub import Hub
        from edgecam.sinks.web.recordings import Recordings
        from edgecam.sinks.web.server import ServerThread
        from edgecam.sinks.web.site import Parts, Site

        quality = options["quality"]

        def annotated(packet: Packet) -> bytes:
            return jpeg.encode(packet.picture(), quality)

        def raw(frame: Frame) -> bytes:
            return frame.jpeg or jpeg.encode(frame.image, quality)

        loop = asyncio.new_event_loop()
        self.hub = Hub(loop, annotated, options["fps"])
        self.site = Site(
            Parts(
                self.hub,
                raw,
                Path(__file__).parent / "page",
                SceneApi(context.scene, context.editing if options["edit"] else None, context.live),
                Recordings(context.folders),
                options["cameras"],
                options["fps"],
            )
        )
        self.server = ServerThread(loop)
        self.hub.start()
        elsewhere = tuple(dict.fromkeys(camera.origin for camera in options["cameras"]))
        self.server.start(Gate(self.site.app, access, self.site.sign_in, elsewhere), sock)

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
