"""Viewers by WebRTC: one peer connection each, fed with the picture that ``/stream.mjpg`` shows.

A sender asks for a picture when it has encoded and sent the last one, so a slow viewer gets fewer of them,
and the newest; ``aiortc`` fits the bit rate to what the viewer reports. Drawing and the conversion of colours
are done once for all, encoding once for each: hence the bound on how many there are.

Nothing leaves the local network: no STUN or TURN server is asked, and of an offer the candidates are left
out. A viewer's address is learned from its own packets, which must know the secret of the answer, so nobody
can have edgecam send anything elsewhere.
"""

from __future__ import annotations

import asyncio
import fractions
import logging
import re
import secrets
import time
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription
from av import VideoFrame

from edgecam.sinks.web.hub import Arrival, Hub
from edgecam.types import Image, Packet

log = logging.getLogger(__name__)

#: Seconds after an answer within which the viewer must have come.
COME = 15.0
#: Pixels; wider pictures are made smaller, since each viewer costs an encoding.
WIDEST = 1280
_REPEAT = 5.0  # seconds without a picture after which the last one is sent again
_CLOCK = 90_000  # ticks a second, of RTP
# ICE gives up at once where it has no pair to try; port 9 of this machine itself is one that never answers.
_NOBODY = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=candidate:2 1 udp 1 ::1 9 typ host\r\n"

Planes = npt.NDArray[np.uint8]


class OfferError(ValueError):
    """An offer that cannot be answered."""


class FullError(Exception):
    """As many viewers as there may be."""


class Peers:
    """All viewers by WebRTC. The loop's thread only.

    Args:
        hub: where packets come from.
        fps: pictures a second at most.
        most: viewers at once.
    """

    def __init__(self, hub: Hub, fps: float, most: int) -> None:
        self._hub = hub
        self._interval = 1.0 / fps
        self._most = most
        self._peers: dict[str, RTCPeerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._screen = _Screen()
        self._closed = False

    def __len__(self) -> int:
        return len(self._peers)

    async def answer(self, offer: str) -> tuple[str, str]:
        """Begin to show the picture to whom an SDP offer comes from: a key to end it, and the SDP answer.

        Raises:
            OfferError: not an offer to receive one video.
            FullError: too many viewers, or it is closing.
        """
        if self._closed or len(self._peers) >= self._most:
            raise FullError
        text = _checked(offer)
        peer, key = RTCPeerConnection(RTCConfiguration(iceServers=[])), secrets.token_urlsafe(16)
        self._peers[key] = peer
        peer.on("connectionstatechange", lambda: self._changed(key, peer))
        peer.addTrack(_Track(self._hub, self._screen, self._interval))
        try:
            async with asyncio.timeout(COME):
                await peer.setRemoteDescription(RTCSessionDescription(text, "offer"))
                await peer.setLocalDescription(await peer.createAnswer())
        except Exception as error:
            # Whatever a stranger's text makes of aiortc is the fault of that text.
            log.debug("web: an offer cannot be answered", exc_info=error)
            await self.end(key)
            raise OfferError(f"the offer cannot be answered ({error or type(error).__name__})") from error
        except asyncio.CancelledError:
            self._later(self.end(key))
            raise
        asyncio.get_running_loop().call_later(COME, self._look, key, peer)
        return key, peer.localDescription.sdp

    async def end(self, key: str) -> bool:
        """Close a viewer's connection; whether there was one."""
        peer = self._peers.pop(key, None)
        if peer is None:
            return False
        await peer.close()
        if not self._peers:
            self._screen.clear()
        return True

    async def close(self) -> None:
        """End all of them, and take no more."""
        self._closed = True
        await asyncio.gather(*(self.end(key) for key in list(self._peers)))
        await asyncio.gather(*self._tasks)

    def _changed(self, key: str, peer: RTCPeerConnection) -> None:
        if peer.connectionState in ("failed", "closed"):
            self._later(self.end(key))

    def _look(self, key: str, peer: RTCPeerConnection) -> None:
        if peer.connectionState != "connected":
            self._later(self.end(key))

    def _later(self, work: object) -> None:
        task = asyncio.ensure_future(cast("asyncio.Future[None]", work))
        self._tasks.add(cast("asyncio.Task[None]", task))
        task.add_done_callback(lambda done: self._tasks.discard(cast("asyncio.Task[None]", done)))


class _Screen:
    """The newest packet's picture in the colours of video, made once for all viewers."""

    def __init__(self) -> None:
        self._version = 0
        self._work: asyncio.Future[Planes] | None = None

    async def planes(self, arrival: Arrival) -> Planes:
        """
        Raises:
            Exception: it cannot be drawn.
        """
        if self._work is None or self._version != arrival.version:
            self._version = arrival.version
            self._work = asyncio.ensure_future(asyncio.to_thread(draw, arrival.packet))
        return await asyncio.shield(self._work)

    def clear(self) -> None:
        self._work = None


class _Track(MediaStreamTrack):
    """The picture for one viewer."""

    kind = "video"

    def __init__(self, hub: Hub, screen: _Screen, interval: float) -> None:
        super().__init__()
        self._hub = hub
        self._screen = screen
        self._interval = interval
        self._began = time.monotonic()
        self._due = 0.0
        self._last = 0
        self._planes: Planes | None = None

    async def recv(self) -> VideoFrame:
        """The next picture. Called when the last one has been sent.

        Raises:
            MediaStreamError: it is over.
        """
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        while self.readyState == "live":
            try:
                async with asyncio.timeout(_REPEAT):
                    arrival = await self._hub.packet(self._last)
            except TimeoutError:
                if self._planes is not None:
                    return self._frame(self._planes)
                continue
            if arrival is None:
                break
            self._last = arrival.version
            self._due = max(self._due, time.monotonic() - self._interval) + self._interval
            try:
                self._planes = await self._screen.planes(arrival)
            except Exception as error:
                # One bad frame must not end the stream.
                log.warning("web: frame %d could not be drawn: %s", arrival.packet.frame.seq, error)
                continue
            return self._frame(self._planes)
        raise MediaStreamError

    def _frame(self, planes: Planes) -> VideoFrame:
        """A frame of its own for each viewer: encoders write into them."""
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = round((time.monotonic() - self._began) * _CLOCK)
        frame.time_base = fractions.Fraction(1, _CLOCK)
        return frame


def draw(packet: Packet, widest: int = WIDEST) -> Planes:
    """A packet's annotated picture as I420 (BT.601, limited range): uint8 (height * 3 / 2, width).

    Width and height are even and at most ``widest`` and its share.
    """
    image: Image = packet.picture()
    height, width = image.shape[:2]
    if width > widest:
        size = (widest, max(2, round(height * widest / width)))
        image = cast("Image", cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return cast("Planes", cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420))


def _checked(offer: str) -> str:
    """An offer without the addresses in it.

    Raises:
        OfferError: not an offer to receive one video.
    """
    try:
        media = SessionDescription.parse(offer).media
    except Exception as error:
        raise OfferError("the body is no SDP offer") from error
    if [m.kind for m in media] != ["video"] or media[0].direction not in ("recvonly", "sendrecv"):
        raise OfferError("expected an offer to receive one video, and nothing else")
    ice = media[0].ice
    if not (ice and ice.usernameFragment and ice.password and media[0].dtls):
        raise OfferError("the offer has no ice-ufrag, ice-pwd or fingerprint")
    kept = re.sub(r"(?m)^a=(?:candidate:|end-of-candidates|ice-options:trickle).*(?:\r?\n|\Z)", "", offer)
    return kept.rstrip() + "\r\n" + _NOBODY
