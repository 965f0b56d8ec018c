"""What flows: the picture as the server draws it, the camera's own with its results, and the events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgecam.errors import FrameError
from edgecam.sinks.web import health
from edgecam.sinks.web.feed import Feed
from edgecam.sinks.web.hub import Arrival, Hub, Picture
from edgecam.sinks.web.live import LiveResponse, Piece, Write
from edgecam.types import Frame, Packet

#: Seconds without a picture after which the last one is sent again: proxies and dead peers show themselves.
REPEAT = 5.0
KEEP_ALIVE = 10.0
SNAPSHOT_WAIT = 3.0

_BOUNDARY = b"--edgecam-frame\r\n"

Item = TypeVar("Item", Arrival, Picture)


class Once(Generic[Item]):
    """What is sent of the newest packet: made for the first viewer that asks, the same bytes for all others.

    Args:
        make: item to bytes.
        lasts: seconds after which it is made anew all the same.
    """

    def __init__(self, make: Callable[[Item], bytes], lasts: float = 1e9) -> None:
        self._make: Callable[[Item], bytes] = make
        self._lasts = lasts
        self._version, self._at, self._data = 0, 0.0, Piece()

    def of(self, item: Item) -> Piece:
        now = time.monotonic()
        if item.version != self._version or now - self._at > self._lasts:
            self._version, self._at, self._data = item.version, now, Piece(self._make(item))
        return self._data


class Streams:
    """The endpoints without an end, and the snapshot.

    Args:
        hub: where packets and pictures come from.
        feed: the steps of events.
        encode: RGB picture of a frame without annotations to JPEG bytes.
        fps: pictures of the camera relayed a second at most.
    """

    def __init__(self, hub: Hub, feed: Feed, encode: Callable[[Frame], bytes], fps: float) -> None:
        self._hub = hub
        self._feed = feed
        self._encode = encode
        self._interval = 1.0 / fps
        self._pictures = Once(_picture)
        self._pairs = Once(_pair)
        # A listener is told how old the news is: what others were told a moment ago is good enough.
        self._messages = Once(_message, lasts=0.05)
        self.viewers = 0
        self.listeners = 0
        self.relayed = 0

    async def stream(self, request: Request) -> Response:
        """The live picture, drawn and encoded here."""
        return LiveResponse(self._stream, "multipart/x-mixed-replace; boundary=edgecam-frame")

    async def _stream(self, write: Write) -> None:
        self.viewers += 1
        try:
            await write(_BOUNDARY)
            part, last = Piece(), 0
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
                part, last = self._pictures.of(picture), picture.version
                await write(part)
                _mark_sent(picture.packet)
        finally:
            self.viewers -= 1

    async def live(self, request: Request) -> Response:
        """The camera's own JPEG, untouched, and before each picture its results, with one number.

        Both in one stream: two streams that each leave out what comes too fast would not leave out the same.
        A frame that privacy rules made has no JPEG of the camera, so it cannot get in here.
        """
        arrival = self._hub.newest()
        if arrival is not None and relays(arrival) is False:
            return JSONResponse(
                {"error": "the camera gives no JPEG, or a privacy rule applies: use /stream.mjpg"},
                status_code=409,
                headers={"cache-control": "no-store"},
            )
        return LiveResponse(self._live, "multipart/mixed; boundary=edgecam-frame")

    async def _live(self, write: Write) -> None:
        self.viewers += 1
        try:
            await write(_BOUNDARY)
            last = 0
            while True:
                began = time.monotonic()
                try:
                    async with asyncio.timeout(REPEAT):
                        arrival = await self._hub.packet(last)
                except TimeoutError:
                    await write(_part("application/json", b"{}", ""))
                    continue
                if arrival is None or relays(arrival) is False:
                    return
                last = arrival.version
                await write(self._pairs.of(arrival))
                self.relayed += 1
                _mark_sent(arrival.packet)
                await asyncio.sleep(max(0.0, began + self._interval * 0.75 - time.monotonic()))
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
            fps = float(request.query_params.get("fps", "60"))
        except ValueError:
            fps = 0.0
        if not 1 <= fps <= 60:  # nor nan
            return JSONResponse({"error": "fps must be a number from 1 to 60"}, status_code=400)

        place = self._feed.place(request.headers.get("last-event-id", ""))

        async def pump(write: Write) -> None:
            self.listeners += 1
            try:
                await self._events(write, 1.0 / fps, self._feed.last if place is None else place)
            finally:
                self.listeners -= 1

        return LiveResponse(pump, "text/event-stream")

    async def _events(self, write: Write, interval: float, place: int) -> None:
        await write(f": edgecam\nid: {self._feed.mark(place)}\n\n".encode())
        last = 0
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    arrival = await self._hub.packet(last)
            except TimeoutError:
                await write(b": keep-alive\n\n")
                continue
            for step in self._feed.after(place):
                place = step.number
                mark = self._feed.mark(place).encode()
                await write(b"event: event\nid: " + mark + b"\ndata: " + step.record + b"\n\n")
            if arrival is None:
                # The page then says that the server was stopped, not that the network is bad.
                await write(b"event: bye\ndata: {}\n\n")
                return
            last = arrival.version
            await write(self._messages.of(arrival))
            await asyncio.sleep(interval)


def relays(arrival: Arrival) -> bool | None:
    """Whether the camera's own JPEG may go to viewers as it is; None for a placard, which does not say."""
    packet = arrival.packet
    return None if packet.result is None else packet.frame.jpeg is not None


def message(arrival: Arrival) -> dict[str, Any]:
    """What listeners get of a packet."""
    packet = arrival.packet
    return packet.record() | {
        "number": arrival.version,
        "relay": relays(arrival),
        "status": packet.status.as_dict(),
        "age": health.age(arrival),
    }


def _message(arrival: Arrival) -> bytes:
    return b"data: " + _json(message(arrival)) + b"\n\n"


def _picture(picture: Picture) -> bytes:
    return _part("image/jpeg", picture.jpeg, f"X-Timestamp: {picture.packet.frame.wall:.6f}\r\n")


def _pair(arrival: Arrival) -> bytes:
    """The results of a packet and the camera's picture; of a placard only the former."""
    packet, number = arrival.packet, f"X-Number: {arrival.version}\r\n"
    record = packet.record() | {"number": arrival.version}
    data = _part("application/json", _json(record), number)
    if packet.result is not None and packet.frame.jpeg is not None:
        stamp = f"{number}X-Timestamp: {packet.frame.wall:.6f}\r\n"
        data += _part("image/jpeg", packet.frame.jpeg, stamp)
    return data


def _part(kind: str, body: bytes, more: str) -> bytes:
    """One part of a stream, closed by its boundary: browsers show a part once they see its end."""
    head = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body + b"\r\n" + _BOUNDARY


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _mark_sent(packet: Packet) -> None:
    if not packet.frame.times.sent:
        packet.frame.times.sent = time.monotonic()


def _unavailable(reason: str) -> Response:
    headers = {"cache-control": "no-store", "retry-after": "1"}
    return JSONResponse({"error": reason}, status_code=503, headers=headers)
