"""The web page: live picture, results and state in the browser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecam import accounts, jpeg
from edgecam.errors import UsageError
from edgecam.registry import URI, parse_bool, parse_names
from edgecam.sinks.base import SinkContext
from edgecam.sinks.web import neighbours
from edgecam.sinks.web.place import number, where
from edgecam.types import Frame, Packet

if TYPE_CHECKING:
    from edgecam.sinks.web.protection import Protection


class WebSink:
    """Serves the page, an MJPEG stream, snapshots, server-sent events, a health check and metrics.

    ``web:`` listens on 127.0.0.1:8080. ``web://0.0.0.0:9000`` lets other machines in; unless there are
    users or ``token=``, or ``insecure=yes`` is given, a token is made and reported. Options: ``port`` (0
    takes a free one), ``token``, ``users`` (a file of ``edgecam web``), ``insecure``, ``tls`` (with a
    certificate made here), ``cert`` and ``key`` (files of your own), ``names`` (further host names the
    page may be called by, comma separated), ``quality`` (JPEG, 1 to 100), ``fps`` (pictures a second at
    most), ``peers`` (viewers by WebRTC at most, 0 for none), ``connections`` (at once, half of them of
    one address), ``edit`` (zones, lines, masks and rules may be changed in the page and are written to the
    settings file) and ``cameras`` (other pages).

    It never makes the pipeline wait, not even for a file: viewers get the newest picture.

    Attributes:
        url: the page's address, without token; "" before :meth:`start`.
        link: the address that opens the page, with the token if there is one.

    Raises:
        UsageError: a wrong option, or a file of users that is no good.
    """

    def __init__(self, uri: URI) -> None:
        self._host, port = where(uri)
        self._options = uri.options(
            port=(number(int, 0, 65535), port),
            token=(str, ""),
            users=(str, ""),
            insecure=(parse_bool, False),
            tls=(parse_bool, False),
            cert=(str, ""),
            key=(str, ""),
            names=(parse_names, ()),
            quality=(number(int, 1, 100), 80),
            fps=(number(float, 0.1, 1000), 30.0),
            peers=(number(int, 0, 16), 4),
            connections=(number(int, 8, 1000), 64),
            edit=(parse_bool, False),
            cameras=(neighbours.parse, ()),
        )
        options = self._options
        if options["edit"] and options["insecure"] and not (options["token"] or options["users"]):
            raise UsageError(
                f"{uri.safe}: edit=yes would let everybody change the settings",
                "leave insecure out, or give a token",
            )
        if bool(options["cert"]) != bool(options["key"]):
            raise UsageError(
                f"{uri.safe}: cert and key belong together", "add cert=FILE&key=FILE, or tls=yes alone"
            )
        if options["users"]:
            accounts.read(Path(options["users"]))
        self.name = uri.safe
        self.dropped = 0
        self.failed = ""
        self.url = ""
        self.link = ""
        self._running: _Running | None = None

    def start(self, context: SinkContext) -> None:
        from edgecam.sinks.web.protection import protect
        from edgecam.sinks.web.server import bind

        sock = bind(self._host, self._options["port"])
        try:
            protection = protect(sock, self._options)
        except BaseException:
            sock.close()
            raise
        self.url, self.link = protection.url, protection.link
        self._running = _Running(sock, protection, self._options, context)
        for words in protection.words:
            context.report(words)

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
        self, sock: socket.socket, protection: Protection, options: Mapping[str, Any], context: SinkContext
    ) -> None:
        from edgecam.sinks.web.editing import SceneApi
        from edgecam.sinks.web.films import Films
        from edgecam.sinks.web.gate import Gate
        from edgecam.sinks.web.hub import Hub
        from edgecam.sinks.web.limiter import Limiter
        from edgecam.sinks.web.recordings import Recordings
        from edgecam.sinks.web.server import ServerThread
        from edgecam.sinks.web.signin import SignIn
        from edgecam.sinks.web.site import Parts, Site

        quality = options["quality"]

        def annotated(packet: Packet) -> bytes:
            return jpeg.encode(packet.picture(), quality)

        def raw(frame: Frame) -> bytes:
            return frame.jpeg or jpeg.encode(frame.image, quality)

        folder = Path(__file__).parent / "page"
        self._loop = loop = asyncio.new_event_loop()
        self.hub = Hub(loop, annotated, options["fps"])
        self.site = Site(
            Parts(
                self.hub,
                raw,
                folder,
                SceneApi(
                    context.scene,
                    context.editing if options["edit"] else None,
                    context.live,
                    context.labels,
                    context.region,
                ),
                Recordings(context.folders),
                Films(context.films),
                options["cameras"],
                options["fps"],
                options["peers"],
            )
        )
        self.server = ServerThread(loop, options["connections"])
        self.hub.start()
        elsewhere = tuple(dict.fromkeys(camera.origin for camera in options["cameras"]))
        access = protection.access
        sign_in = SignIn(access, protection.sessions, Limiter(), folder / "login.html")
        self.server.start(Gate(self.site.app, access, sign_in, elsewhere), sock, protection.certificate)

    def close(self) -> None:
        self.hub.close(timeout=1.0)
        self.site.webrtc.close(self._loop, timeout=1.0)
        self.server.close(grace=0.7, timeout=2.0)
