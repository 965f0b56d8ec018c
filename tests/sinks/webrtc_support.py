"""A viewer by WebRTC: aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np

from edgecam.sinks.web import WebSink
from edgecam.types import Image

SDP = {"content-type": "application/sdp"}


class Viewer:
    """One peer connection to a sink."""

    def __init__(self, page: str, headers: dict[str, str] | None = None) -> None:
        self.url = f"{page}api/webrtc"
        self.headers = headers or {}
        import aiortc

        self.aiortc = aiortc
        self.peer = self.aiortc.RTCPeerConnection(self.aiortc.RTCConfiguration(iceServers=[]))
        self.track: Any = None
        self.location = ""

    async def offer(self) -> str:
        self.peer.addTransceiver("video", direction="recvonly")
        self.peer.on("track", lambda track: setattr(self, "track", track))
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def connect(self) -> httpx.Response:
        text = await self.offer()
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.post(self.url, content=text, headers=SDP | self.headers)
        if answer.status_code == 201:
            self.location = answer.headers["location"]
            await self.peer.setRemoteDescription(self.aiortc.RTCSessionDescription(answer.text, "answer"))
        return answer

    async def picture(self) -> Image:
        async with asyncio.timeout(20):
            frame = await self.track.recv()
        return np.asarray(frame.to_ndarray(format="rgb24"))


@asynccontextmanager
async def viewing(sink: WebSink, headers: dict[str, str] | None = None) -> AsyncIterator[Viewer]:
    viewer = Viewer(sink.url, headers)
    try:
        answer = await viewer.connect()
        assert answer.status_code == 201, answer.text
        yield viewer
    finally:
        await viewer.peer.close()
