"""The live picture by WebRTC, seen by aiortc as the viewer."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.privacy.filter import Privacy, Rules
from edgecam.privacy.mask import Mask
from edgecam.sinks.web import WebSink
from edgecam.sinks.web import webrtc as endpoint
from edgecam.types import Detections, Frame, Image, Packet, Status
from tests.sinks.web_support import LABELS, Pusher, running, until
from tests.sinks.webrtc_support import SDP, Viewer, viewing

aiortc = pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'edgecam[webrtc]'")

SIZE = (160, 120)


class Feed(Pusher):
    """Grey that gets brighter with each picture, and red in the left half."""

    def __init__(self, sink: WebSink, masked: bool = False) -> None:
        super().__init__(sink)
        self.seq = 0
        self.masked = masked
        self._privacy = Privacy(Rules(masks=(Mask(((0, 0), (0.5, 0), (0.5, 1), (0, 1))),)))

    def packet(self) -> Packet:
        image: Image = np.full((SIZE[1], SIZE[0], 3), 40 + self.seq * 4 % 160, np.uint8)
        image[:, : SIZE[0] // 2] = (230, 20, 20)
        frame, result = Frame(self.seq, image, source="camera:0"), Detections.empty()
        self.seq += 1
        if self.masked:
            frame, result = self._privacy.protect(frame, result, LABELS)  # type: ignore[assignment]
        return Packet(frame, result, LABELS, Status(state="running"))


def status(sink: WebSink) -> dict[str, Any]:
    found = httpx.get(f"{sink.url}api/status", headers={"authorization": "Bearer secret"}).json()
    assert isinstance(found, dict)
    return found


async def off(function: Callable[..., Any], *args: object) -> Any:
    """What blocks, off the loop."""
    return await asyncio.to_thread(function, *args)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with running() as sink:
        yield sink


def test_pictures_come_in_their_colours_and_change(sink: WebSink) -> None:
    async def work() -> None:
        async with viewing(sink) as viewer:
            seen = [await viewer.picture() for _ in range(12)]
            assert {picture.shape for picture in seen} == {(SIZE[1], SIZE[0], 3)}
            left, right = seen[-1][:, 10:70], seen[-1][:, 90:150]
            assert np.median(left, axis=(0, 1)) == pytest.approx((230, 20, 20), abs=25)
            assert np.ptp(np.median(right, axis=(0, 1))) < 12  # grey
            greys = [float(np.median(picture[:, 90:150])) for picture in seen]
            assert max(greys) - min(greys) > 12
            assert (await off(status, sink))["viewers"] == 1
        await off(until, "it is gone", lambda: status(sink)["viewers"] == 0)
        assert (await off(status, sink))["encoded"] == 0  # no JPEG was made for it

    with Feed(sink):
        run(work)


def test_under_a_mask_the_private_picture_is_shown(sink: WebSink) -> None:
    async def work() -> None:
        async with viewing(sink) as viewer:
            for _ in range(5):
                picture = (await viewer.picture()).astype(int)
                red = picture[:, 10:70, 0] - picture[:, 10:70, 1]
                assert np.median(red) < 40

    with Feed(sink, masked=True):
        run(work)


def test_a_viewer_may_leave_by_its_location(sink: WebSink) -> None:
    async def work() -> None:
        async with viewing(sink) as viewer:
            await viewer.picture()
            where = sink.url.rstrip("/") + viewer.location
            assert (await off(httpx.delete, where)).status_code == 204
            assert (await off(httpx.delete, where)).status_code == 404
            assert (await off(status, sink))["viewers"] == 0
            with pytest.raises(aiortc.mediastreams.MediaStreamError):
                while True:
                    await viewer.picture()

    with Feed(sink):
        run(work)


def test_there_are_so_many_and_no_more() -> None:
    async def work() -> None:
        async with viewing(sink) as first, viewing(sink) as second:
            # Who goes before it has come is missed after a while only.
            await asyncio.gather(first.picture(), second.picture())
            third = Viewer(sink.url)
            answer = await third.connect()
            assert answer.status_code == 503
            assert answer.headers["retry-after"] and "/stream.mjpg" in answer.json()["error"]
            await third.peer.close()
        await off(until, "both are gone", lambda: status(sink)["viewers"] == 0)
        async with viewing(sink) as viewer:
            await viewer.picture()

    with running("web:?port=0&peers=2") as sink, Feed(sink):
        run(work)


def test_who_never_comes_is_put_out(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecam.sinks.web import rtc

    monkeypatch.setattr(rtc, "COME", 0.5)

    async def work() -> None:
        viewer = Viewer(sink.url)
        text = await viewer.offer()
        answer = await off(lambda: httpx.post(viewer.url, content=text, headers=SDP))
        assert answer.status_code == 201
        assert (await off(status, sink))["viewers"] == 1
        await off(until, "it is given up", lambda: status(sink)["viewers"] == 0)
        await viewer.peer.close()

    with Feed(sink):
        run(work)


def test_who_vanishes_without_a_word_is_noticed(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 2)

    async def work() -> None:
        async with viewing(sink) as viewer:
            await viewer.picture()
            (transceiver,) = viewer.peer.getTransceivers()
            ice = transceiver.receiver.transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.abort()  # its cable is out
            await off(until, "it is gone", lambda: status(sink)["viewers"] == 0)

    with Feed(sink):
        run(work)


def test_the_sinks_end_is_the_viewers_end() -> None:
    before = set(threading.enumerate())

    async def work() -> None:
        with running() as sink, Feed(sink):
            viewer = Viewer(sink.url)
            assert (await viewer.connect()).status_code == 201
            await viewer.picture()
            await off(sink.close)
            left = set(threading.enumerate()) - before
            assert not [thread for thread in left if thread.name.startswith("edgecam-web")]
            with pytest.raises(aiortc.mediastreams.MediaStreamError):
                while True:
                    await viewer.picture()
            await viewer.peer.close()

    run(work)


def test_a_camera_that_is_silent_is_shown_all_the_same(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last picture is sent again."""
    from edgecam.sinks.web import rtc

    monkeypatch.setattr(rtc, "_REPEAT", 0.2)
    sink.push(Feed(sink).packet())

    async def work() -> None:
        async with viewing(sink) as viewer:
            for _ in range(3):
                assert np.median((await viewer.picture())[:, 10:70, 0]) > 180

    run(work)


def test_wide_pictures_are_made_smaller_and_odd_ones_even() -> None:
    from edgecam.sinks.web.rtc import draw

    def planes(width: int, height: int) -> tuple[int, ...]:
        image = np.zeros((height, width, 3), np.uint8)
        return draw(Packet(Frame(0, image), None, LABELS, Status(), lambda packet: image)).shape

    assert planes(1920, 1080) == (720 * 3 // 2, 1280)
    assert planes(641, 479) == (478 * 3 // 2, 640)
    assert planes(4000, 3) == (2 * 3 // 2, 1280)


# -- who may, and what is no offer


def test_the_same_rules_hold_as_elsewhere() -> None:
    async def work() -> None:
        viewer = Viewer(sink.url)
        text = await viewer.offer()

        def post(**headers: str) -> httpx.Response:
            return httpx.post(viewer.url, content=text, headers=SDP | headers)

        assert (await off(post)).status_code == 401
        assert (await off(lambda: post(authorization="Bearer wrong"))).status_code == 401
        bearer = "Bearer secret"
        foreign = await off(lambda: post(authorization=bearer, origin="http://evil.example"))
        assert foreign.status_code == 403
        form = {"content-type": "text/plain", "authorization": bearer}
        assert (await off(lambda: httpx.post(viewer.url, content=text, headers=form))).status_code == 415
        assert (await off(lambda: httpx.delete(f"{viewer.url}/x"))).status_code == 401
        await viewer.peer.close()
        async with viewing(sink, {"authorization": bearer}) as second:
            await second.picture()

    with running("web:?port=0&token=secret") as sink, Feed(sink):
        run(work)


def offer_text() -> str:
    async def make() -> str:
        viewer = Viewer("http://127.0.0.1/")
        text = await viewer.offer()
        await viewer.peer.close()
        return text

    return asyncio.run(make())


@pytest.fixture(scope="module")
def offered() -> str:
    return offer_text()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "", "one video"),
        (lambda text: "v=0", "one video"),
        (lambda text: text.replace("recvonly", "sendonly"), "one video"),
        (lambda text: text + text[text.index("m=video") :], "one video"),
        (lambda text: text[: text.index("m=video")], "one video"),
        (lambda text: text.replace("a=ice-pwd", "a=x"), "ice-pwd"),
        (lambda text: text.replace("a=fingerprint", "a=x").replace("a=setup", "a=x"), "fingerprint"),
        (lambda text: text.replace("VP8", "XP8").replace("H264", "X264"), "cannot be answered"),
    ],
)
def test_what_is_no_offer_is_refused_in_a_line(
    sink: WebSink, offered: str, change: Callable[[str], str], why: str
) -> None:
    answer = httpx.post(f"{sink.url}api/webrtc", content=change(offered), headers=SDP)
    assert answer.status_code == 400
    assert why in answer.json()["error"] and "\n" not in answer.json()["error"]
    assert status(sink)["viewers"] == 0


def test_too_much_is_refused(sink: WebSink) -> None:
    assert httpx.post(f"{sink.url}api/webrtc", content=b"v" * 40_000, headers=SDP).status_code == 413
    assert httpx.post(f"{sink.url}api/webrtc", content=b"\xff", headers=SDP).status_code == 400


@settings(max_examples=40)
@given(data=st.data())
def test_no_text_breaks_the_server(data: st.DataObject) -> None:
    """Lines of an offer left out, doubled, exchanged and cut."""
    sink, whole = SHARED
    lines = whole.split("\r\n")
    kept = data.draw(st.lists(st.sampled_from(lines), max_size=30)) if data.draw(st.booleans()) else lines[:]
    at = data.draw(st.integers(0, max(0, len(kept) - 1)))
    noise = data.draw(st.text(st.characters(codec="utf-8"), max_size=30))
    if kept:
        kept[at] = data.draw(st.sampled_from((noise, kept[at][: len(kept[at]) // 2], kept[at] + noise)))
    answer = httpx.post(f"{sink.url}api/webrtc", content="\r\n".join(kept).encode(), headers=SDP)
    assert answer.status_code in (201, 400), answer.text
    if answer.status_code == 201:
        assert httpx.delete(sink.url.rstrip("/") + answer.headers["location"]).status_code == 204


SHARED: Any = ()


@pytest.fixture(autouse=True, scope="module")
def _shared(offered: str) -> Iterator[None]:
    global SHARED
    with running() as sink:
        SHARED = (sink, offered)
        yield


# -- nothing leaves


def test_no_address_of_an_offer_is_ever_spoken_to(sink: WebSink, offered: str) -> None:
    """Else whoever may look could have edgecam send packets to anybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        own = re.search(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) ", offered)
        assert own is not None
        victim.bind((own[1], 0))
        victim.settimeout(1.5)
        named = re.sub(
            r"a=candidate:.*",
            f"a=candidate:1 1 udp 2130706431 {own[1]} {victim.getsockname()[1]} typ host",
            offered,
        )
        assert httpx.post(f"{sink.url}api/webrtc", content=named, headers=SDP).status_code == 201
        with pytest.raises(TimeoutError):
            victim.recv(2048)


def test_no_server_is_asked(sink: WebSink, offered: str) -> None:
    answer = httpx.post(f"{sink.url}api/webrtc", content=offered, headers=SDP).text
    kinds = set(re.findall(r"a=candidate:.* typ (\w+)", answer))
    assert kinds == {"host"}
    peers = sink._running.site.webrtc._peers  # type: ignore[union-attr]
    assert peers is not None
    (peer,) = peers._peers.values()
    (transceiver,) = peer.getTransceivers()
    ice = transceiver.sender.transport.transport._connection
    assert (ice.stun_server, ice.turn_server) == (None, None)


# -- where there is none


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, offered: str) -> None:
    monkeypatch.setattr(endpoint, "installed", lambda: False)
    with running() as sink:
        found = httpx.get(f"{sink.url}api/webrtc").json()
        assert (found["available"], found["why"]) == (False, endpoint.MISSING)
        answer = httpx.post(f"{sink.url}api/webrtc", content=offered, headers=SDP)
        assert (answer.status_code, answer.json()) == (501, {"error": endpoint.MISSING})


def test_it_can_be_turned_off(offered: str) -> None:
    with running("web:?port=0&peers=0") as sink:
        assert not httpx.get(f"{sink.url}api/webrtc").json()["available"]
        answer = httpx.post(f"{sink.url}api/webrtc", content=offered, headers=SDP)
        assert answer.status_code == 501 and "peers=0" in answer.json()["error"]


def test_a_library_that_cannot_be_loaded_is_told(
    sink: WebSink, offered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> object:
        raise ImportError("libavcodec.so.62: cannot open")

    monkeypatch.setattr(endpoint, "load", broken)
    answer = httpx.post(f"{sink.url}api/webrtc", content=offered, headers=SDP)
    assert answer.status_code == 501 and "libavcodec" in answer.json()["error"]
    assert not httpx.get(f"{sink.url}api/webrtc").json()["available"]


def test_it_is_not_loaded_before_somebody_asks() -> None:
    script = (
        "import sys, httpx; from tests.sinks.web_support import running\n"
        "with running() as sink: print(httpx.get(sink.url + 'api/webrtc').json()['available'])\n"
        "print('av' in sys.modules or 'aiortc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_service_that_may_not_have_executable_memory_says_so() -> None:
    """As systemd's MemoryDenyWriteExecute= has it; here by the kernel's own way to the same."""
    script = (
        "import ctypes, httpx; refused = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\n"
        "from tests.sinks.web_support import running\n"
        "with running() as sink: print(refused, httpx.get(sink.url + 'api/webrtc').json()['why'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    refused, _, why = done.stdout.strip().partition(" ")
    # A kernel before Linux 6.3 cannot be asked to forbid it.
    assert why == (endpoint.FORBIDDEN if refused == "0" else "")
