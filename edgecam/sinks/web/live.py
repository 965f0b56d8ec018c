"""A response without an end: pictures and events as they come.

Each piece goes to many viewers, so what it costs is mostly what lies between here and the kernel. A piece is
framed once for all of them and handed to the connection itself (:data:`DIRECT`, see
:mod:`edgecam.sinks.web.door`), past the layers that every other response goes through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Protocol, TypeAlias

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

Write: TypeAlias = Callable[[bytes], Awaitable[None]]

#: Key of the ASGI scope under which the connection may be found.
DIRECT = "edgecam.direct"


class Direct(Protocol):
    """A connection whose response has begun."""

    def put(self, data: bytes) -> bool:
        """Hand over bytes as they are; whether the kernel has taken enough of them to go on at once."""

    async def room(self) -> None:
        """Wait until it has, or the peer is gone."""


class Piece(bytes):
    """What is sent to many: bytes that remember how they look as a chunk of HTTP/1.1 (RFC 9112, 7.1)."""

    @cached_property
    def chunk(self) -> bytes:
        return b"%x\r\n%b\r\n" % (len(self), self)


_LIVE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class LiveResponse(Response):
    """A body without an end: ``pump`` writes until it returns or the client has gone.

    ``write`` returns when the socket has taken the data, so a pump that asks for the newest item after each
    write never sends a stale one.
    """

    def __init__(self, pump: Callable[[Write], Awaitable[None]], media_type: str) -> None:
        super().__init__(headers=_LIVE_HEADERS, media_type=media_type)
        del self.headers["content-length"]
        self._pump = pump

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            await self._stream(receive, _writer(scope, send))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, receive: Receive, write: Write) -> None:

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def pump() -> None:
            await self._pump(write)

        tasks = [asyncio.create_task(pump()), asyncio.create_task(gone())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


def _writer(scope: Scope, send: Send) -> Write:
    """Sends a piece; returns when the socket has taken it."""
    direct: Direct | None = scope.get(DIRECT)

    async def write(data: bytes) -> None:
        await send(_more(data))
        # uvicorn waits for room in the socket's buffer *before* it takes data: ask once more, with none.
        await send(_more(b""))

    async def put(data: bytes) -> None:
        assert direct is not None
        piece = data if isinstance(data, Piece) else Piece(data)
        if piece and not direct.put(piece.chunk):
            await direct.room()

    return write if direct is None or scope["http_version"] != "1.1" else put


def _more(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
