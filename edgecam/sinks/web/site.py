"""The endpoints: the page, the live picture, the events, the health."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgecam import __version__
from edgecam.errors import FrameError
from edgecam.sinks.web import health
from edgecam.sinks.web.feed import KEPT, Feed
from edgecam.sinks.web.hub import Arrival, Hub
from edgecam.sinks.web.live import LiveResponse, Write
from edgecam.sinks.web.metrics import CONTENT_TYPE, Metrics, Reading
from edgecam.types import Frame, Packet

#: Seconds without a picture after which the last one is sent again: proxies and dead peers show themselves.
REPEAT = 5.0
KEEP_ALIVE = 10.0
SNAPSHOT_WAIT = 3.0

_BOUNDARY = b"--edgecam-frame\r\n"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file of the page, held in memory."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> Asset:
        body = path.read_bytes()
        return cls(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')

    def answer(self, request: Request) -> Response:
        headers = {"etag": self.etag, "cache-control": "no-cache"}
        known = (
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        )
        if self.etag in known:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


class Site:
    """The site as an ASGI application (:attr:`app`), without its gate.

    Args:
        hub: where packets and pictures come from.
        encode: RGB picture of a frame without annotations to JPEG bytes.
        folder: the page's files.
    """

    def __init__(self, hub: Hub, encode: Callable[[Frame], bytes], folder: Path) -> None:
        self._hub = hub
        self._encode = encode
        self.viewers = 0
        self.listeners = 0
        self.figures = Metrics(self._reading)
        self.feed = Feed()
        self.sign_in = (folder / "login.html").read_bytes()
        routes = [
            Route("/stream.mjpg", self.stream),
            Route("/snapshot.jpg", self.snapshot),
            Route("/events", self.events),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/api/status", self.status),
            Route("/api/events", self.last_events),
        ]
        files = {"/": "index.html"} | {f"/{name}": name for name in ("page.css", "page.js", "favicon.svg")}
        routes += [Route(path, self._file(folder / name)) for path, name in files.items()]
        self.app = Starlette(routes=routes)

    @staticmethod
    def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
        asset = Asset.read(path)

        async def answer(request: Request) -> Response:
            return asset.answer(request)

        return answer

    async def stream(self, request: Request) -> Response:
        return LiveResponse(self._stream, "multipart/x-mixed-replace; boundary=edgecam-frame")

    async def _stream(self, write: Write) -> None:
        self.viewers += 1
        try:
            await write(_BOUNDARY)
            part, last = b"", 0
            while True:
                try:
                    async with asyncio.timeout(REPEAT):
                        picture = await self._hub.picture(last)
                except TimeoutError:
                    if part:
                        await write(part)
                    continue
                if picture is None:
                    return
                part, last = _part(picture.jpeg, picture.packet.frame), picture.version
                await write(part)
                _mark_sent(picture.packet)
        finally:
            self.viewers -= 1

    async def snapshot(self, request: Request) -> Response:
        """The newest picture; ``?raw=1`` without boxes, as the camera gave it."""
        raw = request.query_params.get("raw", "no").lower() in ("", "1", "true", "yes", "on")
        try:
            async with asyncio.timeout(SNAPSHOT_WAIT):
                found = await (self._raw() if raw else self._annotated())
        except TimeoutError:
            return _unavailable("no picture yet")
        except FrameError as error:
            return _unavailable(str(error))
        if found is None:
            return _unavailable("the server is closing")
        frame, data = found
        name = time.strftime("edgecam-%Y%m%d-%H%M%S.jpg", time.localtime(frame.wall))
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'inline; filename="{name}"',
            "x-timestamp": f"{frame.wall:.6f}",
        }
        return Response(data, headers=headers, media_type="image/jpeg")

    async def _annotated(self) -> tuple[Frame, bytes] | None:
        picture = await self._hub.picture(0)
        return None if picture is None else (picture.packet.frame, picture.jpeg)

    async def _raw(self) -> tuple[Frame, bytes] | None:
        arrival = await self._hub.packet(0)
        if arrival is None:
            return None
        frame = arrival.packet.frame
        return frame, await asyncio.to_thread(self._encode, frame)

    async def events(self, request: Request) -> Response:
        """Server-sent events, one JSON object a packet; ``?fps=N`` bounds their rate.

        Steps of events come as messages named ``event``, each with its id: who connects again goes on there.
        """
        try:
            fps = min(max(float(request.query_params.get("fps", "60")), 1.0), 60.0)
        except ValueError:
            return JSONResponse({"error": "fps must be a number from 1 to 60"}, status_code=400)

        place = self.feed.place(request.headers.get("last-event-id", ""))

        async def pump(write: Write) -> None:
            self.listeners += 1
            try:
                await self._events(write, 1.0 / fps, self.feed.last if place is None else place)
            finally:
                self.listeners -= 1

        return LiveResponse(pump, "text/event-stream")

    async def _events(self, write: Write, interval: float, place: int) -> None:
        await write(f": edgecam\nid: {self.feed.mark(place)}\n\n".encode())
        last = 0
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    arrival = await self._hub.packet(last)
            except TimeoutError:
                await write(b": keep-alive\n\n")
                continue
            for step in self.feed.after(place):
                place = step.number
                mark = self.feed.mark(place).encode()
                await write(b"event: event\nid: " + mark + b"\ndata: " + step.record + b"\n\n")
            if arrival is None:
                # The page then says that the server was stopped, not that the network is bad.
                await write(b"event: bye\ndata: {}\n\n")
                return
            last = arrival.version
            await write(b"data: " + _event(arrival) + b"\n\n")
            await asyncio.sleep(interval)

    async def last_events(self, request: Request) -> Response:
        """The last steps of events, oldest first; ``?after=`` the ``last`` of an answer, ``?limit=N``."""
        try:
            limit = min(max(int(request.query_params.get("limit", "100")), 1), KEPT)
        except ValueError:
            return JSONResponse({"error": f"limit must be a number from 1 to {KEPT}"}, status_code=400)
        body = self.feed.answer(request.query_params.get("after", ""), limit)
        arrival = self._hub.newest()
        body["counts"] = {} if arrival is None else arrival.packet.counts
        return JSONResponse(body, headers={"cache-control": "no-store"})

    async def healthz(self, request: Request) -> Response:
        """200 while pictures flow, else 503 and why. Who shows no token learns the bare state only."""
        arrival = self._hub.newest()
        found = health.judge(arrival)
        body: dict[str, Any] = {"state": found.state}
        if request.scope["edgecam.trusted"]:
            body |= {"reason": found.reason, "age": found.age}
        headers = {"cache-control": "no-store"}
        return JSONResponse(body, status_code=200 if found.well else 503, headers=headers)

    async def metrics(self, request: Request) -> Response:
        """The figures, for Prometheus."""
        return Response(self.figures.text(), headers={"content-type": CONTENT_TYPE})

    def _reading(self) -> Reading:
        arrival = self._hub.newest()
        return Reading(
            None if arrival is None else arrival.packet.status,
            health.judge(arrival),
            self.viewers,
            self._hub.encoded,
            self._hub.dropped,
        )

    async def status(self, request: Request) -> Response:
        """The status of the run and of this server."""
        arrival = self._hub.newest()
        body = {
            "version": __version__,
            "health": health.judge(arrival).state,
            "status": None if arrival is None else arrival.packet.status.as_dict(),
            "age": None if arrival is None else health.age(arrival),
            "viewers": self.viewers,
            "listeners": self.listeners,
            "encoded": self._hub.encoded,
            "dropped": self._hub.dropped,
        }
        return JSONResponse(body, headers={"cache-control": "no-store"})


def _part(jpeg: bytes, frame: Frame) -> bytes:
    """One part of the stream, closed by its boundary: browsers show a part once they see its end."""
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\nX-Timestamp: {frame.wall:.6f}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n" + _BOUNDARY


def _event(arrival: Arrival) -> bytes:
    packet = arrival.packet
    record = packet.record() | {"status": packet.status.as_dict(), "age": health.age(arrival)}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _mark_sent(packet: Packet) -> None:
    if not packet.frame.times.sent:
        packet.frame.times.sent = time.monotonic()


def _unavailable(reason: str) -> Response:
    headers = {"cache-control": "no-store", "retry-after": "1"}
    return JSONResponse({"error": reason}, status_code=503, headers=headers)
