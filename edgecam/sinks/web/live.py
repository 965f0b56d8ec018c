"""A response without an end: pictures and events as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

Write: TypeAlias = Callable[[bytes], Awaitable[None]]

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
            await self._stream(receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, receive: Receive, send: Send) -> None:
        async def write(data: bytes) -> None:
            await send(_more(data))
            # uvicorn waits for room in the socket's buffer *before* it takes data: ask once more, with none.
            await send(_more(b""))

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


def _more(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
