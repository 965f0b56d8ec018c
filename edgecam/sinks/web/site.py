"""The endpoints: which address is answered by what."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from edgecam import __version__
from edgecam.sinks.web import assets, health
from edgecam.sinks.web.editing import SceneApi
from edgecam.sinks.web.feed import KEPT, Feed
from edgecam.sinks.web.films import Films
from edgecam.sinks.web.history import History
from edgecam.sinks.web.hub import Hub
from edgecam.sinks.web.metrics import CONTENT_TYPE, Metrics, Reading
from edgecam.sinks.web.neighbours import Neighbour
from edgecam.sinks.web.recordings import Recordings
from edgecam.sinks.web.signin import session
from edgecam.sinks.web.streams import Streams
from edgecam.sinks.web.webrtc import WebRtcApi
from edgecam.types import Frame, Packet

_NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Parts:
    """What a site is made of.

    Attributes:
        hub: where packets and pictures come from.
        encode: RGB picture of a frame without annotations to JPEG bytes.
        folder: the page's files.
        scene: what is drawn over the picture.
        recordings: what is kept of events.
        films: what is kept of everything.
        cameras: other pages to be shown beside this one.
        fps: pictures a second at most.
        peers: viewers by WebRTC at most.
    """

    hub: Hub
    encode: Callable[[Frame], bytes]
    folder: Path
    scene: SceneApi
    recordings: Recordings
    films: Films
    cameras: Sequence[Neighbour] = ()
    fps: float = 30.0
    peers: int = 4


class Site:
    """The site as an ASGI application (:attr:`app`), without its gate."""

    def __init__(self, parts: Parts) -> None:
        self._hub = parts.hub
        self._recordings = parts.recordings
        self._films = parts.films
        self._cameras = parts.cameras
        self.figures = Metrics(self._reading)
        self.feed = Feed()
        self.history = History()
        self.streams = Streams(parts.hub, self.feed, parts.encode, parts.fps)
        self.webrtc = WebRtcApi(parts.hub, parts.fps, parts.peers)
        self.app = Starlette(routes=self._routes(parts))

    def _routes(self, parts: Parts) -> list[Route]:
        streams, scene = self.streams, parts.scene
        return [
            Route("/stream.mjpg", streams.stream),
            Route("/live", streams.live),
            Route("/snapshot.jpg", streams.snapshot),
            Route("/events", streams.events),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/api/status", self.status),
            Route("/api/events", self.last_events),
            Route("/api/history", self.last_minutes),
            Route("/api/recordings", self.recordings),
            Route("/api/segments", self.segments),
            Route("/api/scene", scene.scene),
            Route("/api/settings", scene.read, methods=["GET"]),
            Route("/api/settings", scene.write, methods=["PUT"]),
            Route("/api/webrtc", self.webrtc.describe, methods=["GET"]),
            Route("/api/webrtc", self.webrtc.offer, methods=["POST"]),
            Route("/api/webrtc/{key}", self.webrtc.end, methods=["DELETE"]),
            Route("/api/cameras", self.cameras),
            Route("/api/session", session),
            Route("/kept/{key:path}", self.kept),
            *assets.routes(parts.folder),
        ]

    def observe(self, packet: Packet) -> None:
        """Take note of a packet: its events, and the figures."""
        self.feed.add(packet.events)
        self.figures.observe(packet)
        self.history.observe(packet.status)

    async def last_events(self, request: Request) -> Response:
        """The last steps of events, oldest first; ``?after=`` the ``last`` of an answer, ``?limit=N``."""
        limit = _limit(request, KEPT)
        if limit is None:
            return _bad_limit(KEPT)
        body = self.feed.answer(request.query_params.get("after", ""), limit)
        arrival = self._hub.newest()
        body["counts"] = {} if arrival is None else arrival.packet.counts
        return JSONResponse(body, headers=_NO_STORE)

    async def last_minutes(self, request: Request) -> Response:
        """Rates, times and the temperature of the last ten minutes."""
        return JSONResponse(self.history.answer(), headers=_NO_STORE)

    async def recordings(self, request: Request) -> Response:
        """Events of which something is kept, newest first."""
        limit = _limit(request, 500)
        if limit is None:
            return _bad_limit(500)
        found = await asyncio.to_thread(self._recordings.events, limit)
        return JSONResponse({"kept": bool(self._recordings.folders), "events": found}, headers=_NO_STORE)

    async def segments(self, request: Request) -> Response:
        """The segments of a day, newest first: ``?day=``, one of ``days``; the newest if it is left out."""
        limit = _limit(request, 2000)
        if limit is None:
            return _bad_limit(2000)
        days = await asyncio.to_thread(self._films.days)
        day = request.query_params.get("day") or (days[0] if days else None)
        found = [] if day is None else await asyncio.to_thread(self._films.of, day, limit)
        body = {"kept": self._films.kept, "days": days, "day": day, "segments": found}
        return JSONResponse(body, headers=_NO_STORE)

    async def kept(self, request: Request) -> Response:
        """A clip, a snapshot or a segment that an index knows."""
        key = request.path_params["key"]
        path = await asyncio.to_thread(lambda: self._recordings.file(key) or self._films.file(key))
        if path is None:
            return JSONResponse({"error": "no such recording"}, status_code=404, headers=_NO_STORE)
        kind = mimetypes.guess_type(path.name)[0]
        headers = {"cache-control": "private, no-cache"}
        return FileResponse(path, media_type=kind, headers=headers)

    async def cameras(self, request: Request) -> Response:
        """Other cameras to be shown beside this one."""
        return JSONResponse({"cameras": [c.as_dict() for c in self._cameras]}, headers=_NO_STORE)

    async def healthz(self, request: Request) -> Response:
        """200 while pictures flow, else 503 and why. Who shows no token learns the bare state only."""
        arrival = self._hub.newest()
        found = health.judge(arrival)
        body: dict[str, Any] = {"state": found.state}
        if request.scope["edgecam.trusted"]:
            body |= {"reason": found.reason, "age": found.age}
        return JSONResponse(body, status_code=200 if found.well else 503, headers=_NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """The figures, for Prometheus."""
        return Response(self.figures.text(), headers={"content-type": CONTENT_TYPE})

    def _reading(self) -> Reading:
        arrival = self._hub.newest()
        return Reading(
            None if arrival is None else arrival.packet.status,
            health.judge(arrival),
            self.streams.viewers + self.webrtc.viewers,
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
            "viewers": self.streams.viewers + self.webrtc.viewers,
            "listeners": self.streams.listeners,
            "encoded": self._hub.encoded,
            "relayed": self.streams.relayed,
            "dropped": self._hub.dropped,
        }
        return JSONResponse(body, headers=_NO_STORE)


def _limit(request: Request, most: int) -> int | None:
    """The query's ``limit``, None if it is no number from 1 to ``most``."""
    text = request.query_params.get("limit", "100")
    # Not int() alone: it takes spaces, signs, underscores and any script's digits.
    limit = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    return limit if 1 <= limit <= most else None


def _bad_limit(most: int) -> Response:
    return JSONResponse({"error": f"limit must be a number from 1 to {most}"}, status_code=400)
