"""Bodies of requests, bounded in size and in time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

#: Seconds for all of a body: the largest is a quarter of a megabyte.
PATIENCE = 15.0


class BodyError(Exception):
    """A body that is not taken. ``status`` is that of the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def read_body(request: Request, limit: int, patience: float = PATIENCE) -> bytes:
    """All of a request's body.

    Raises:
        BodyError: more than ``limit`` bytes, too slow, or broken off.
    """
    body = b""
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyError(413, f"more than {limit} bytes")
    except TimeoutError:
        raise BodyError(408, f"not all of it came within {patience:g} s") from None
    except ClientDisconnect:
        raise BodyError(400, "it broke off") from None
    return body
