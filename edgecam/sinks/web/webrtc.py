"""``/api/webrtc``: a live picture with low latency, negotiated as WHEP does (draft-ietf-wish-whep).

An offer is posted as ``application/sdp``; the answer comes with 201 and a ``Location`` that DELETE ends.
Needs ``aiortc``, which is looked for here and loaded with the first viewer (:mod:`edgecam.sinks.web.rtc`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import importlib.util
import logging
from types import ModuleType
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgecam.sinks.web.body import BodyError, read_body
from edgecam.sinks.web.hub import Hub

if TYPE_CHECKING:
    from edgecam.sinks.web.rtc import Peers

log = logging.getLogger(__name__)

_LIMIT = 32 * 1024
_NO_STORE = {"cache-control": "no-store"}
MISSING = "aiortc is not installed: pip install 'edgecam[webrtc]'"
FORBIDDEN = (
    "this service may not make executable memory, which aiortc needs: "
    "MemoryDenyWriteExecute=no, by systemctl edit edgecam"
)


class WebRtcApi:
    """The endpoints.

    Args:
        hub: where packets come from.
        fps: pictures a second at most.
        most: viewers at once; 0 turns it off.
    """

    def __init__(self, hub: Hub, fps: float, most: int) -> None:
        self._hub = hub
        self._fps = fps
        self._most = most
        self._peers: Peers | None = None
        self._lock = asyncio.Lock()
        self._missing = ""
        self._looked = False
        if most == 0:
            self._missing = "WebRTC is off: leave peers=0 out of the web: sink"
        elif not installed():
            self._missing = MISSING

    @property
    def viewers(self) -> int:
        return 0 if self._peers is None else len(self._peers)

    async def describe(self, request: Request) -> Response:
        """Whether there is such a picture, and why not."""
        async with self._lock:
            await self._look()
        body = {
            "available": not self._missing,
            "why": self._missing,
            "viewers": self.viewers,
            "most": self._most,
        }
        return JSONResponse(body, headers=_NO_STORE)

    async def offer(self, request: Request) -> Response:
        """Answer an SDP offer."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/sdp":
            # A form of another site cannot send this type unasked.
            return _error(415, "the body must be an SDP offer, application/sdp")
        try:
            text = (await read_body(request, _LIMIT)).decode()
        except BodyError as error:
            return _error(error.status, str(error))
        except UnicodeDecodeError:
            return _error(400, "the body is no SDP offer")
        peers = await self._load()
        if peers is None:
            return _error(501, self._missing)
        from edgecam.sinks.web.rtc import FullError, OfferError

        try:
            key, answer = await peers.answer(text)
        except OfferError as error:
            return _error(400, str(error))
        except FullError:
            why = f"{self._most} viewers are all that may look by WebRTC: use /stream.mjpg, or raise peers="
            return _error(503, why, {"retry-after": "10"})
        headers = _NO_STORE | {"location": f"{request.url.path}/{key}"}
        return Response(answer, status_code=201, headers=headers, media_type="application/sdp")

    async def end(self, request: Request) -> Response:
        """The viewer has seen enough."""
        ended = self._peers is not None and await self._peers.end(request.path_params["key"])
        return Response(status_code=204, headers=_NO_STORE) if ended else _error(404, "no such viewer")

    def close(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        """End all viewers. From another thread than the loop's."""
        peers = self._peers
        if peers is None:
            return
        with contextlib.suppress(RuntimeError, concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(peers.close(), loop).result(timeout)

    async def _look(self) -> None:
        """Whether it can work at all."""
        if not self._looked and not self._missing and await asyncio.to_thread(forbidden):
            self._missing = FORBIDDEN
        self._looked = True

    async def _load(self) -> Peers | None:
        """aiortc takes a second to load, and need not be whole: not while others wait for the loop."""
        async with self._lock:
            await self._look()
            if self._peers is None and not self._missing:
                try:
                    module = await asyncio.to_thread(load)
                except (ImportError, OSError) as error:
                    log.warning("web: aiortc cannot be loaded: %s", error)
                    self._missing = f"aiortc cannot be loaded ({error}): pip install 'edgecam[webrtc]'"
                else:
                    self._peers = module.Peers(self._hub, self._fps, self._most)
        return self._peers


def forbidden() -> bool:
    """Whether this process may not have the callbacks that aiortc's TLS needs; loads no more than cffi."""
    try:
        importlib.import_module("cffi").FFI().callback("void(void)", lambda: None)
    except MemoryError:
        return True
    except ImportError:
        return False  # told when all of it is loaded
    return False


def installed() -> bool:
    """Whether aiortc is there; loads nothing."""
    return importlib.util.find_spec("aiortc") is not None


def load() -> ModuleType:
    """What needs aiortc."""
    return importlib.import_module("edgecam.sinks.web.rtc")


def _error(status: int, why: str, more: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=_NO_STORE | (more or {}))
