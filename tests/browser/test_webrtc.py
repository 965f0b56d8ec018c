"""The live picture with low latency, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from edgecam.sinks.web import WebSink
from edgecam.sinks.web import webrtc as endpoint
from tests.browser.driver import Browser
from tests.browser.test_page import ORANGE, Feed, until_status, wait_for_motion
from tests.browser.test_page import browser as browser
from tests.browser.test_page import chromium as chromium
from tests.sinks.web_support import running

pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'edgecam[webrtc]'")
pytestmark = pytest.mark.browser

VIDEO = "const v = document.getElementById('video'); return "
PIXELS = (
    "const v = document.getElementById('video'); const pen = new OffscreenCanvas(320, 180).getContext('2d');"
    "pen.drawImage(v, 0, 0, 320, 180); return "
)


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with running("web:?port=0&peers=1") as sink, Feed(sink):
        yield sink


@pytest.fixture
def page(browser: Browser, sink: WebSink) -> Iterator[Browser]:
    browser.open(sink.url)
    browser.wait_text("#state", "Running")
    browser.wait_text("#rtc", "Low latency")
    yield browser
    browser.run("localStorage.clear()")


def wait_for_film(page: Browser) -> None:
    page.wait("pictures come", lambda: page.run(VIDEO + "v.videoWidth === 320 && v.currentTime > 0"))


def test_pictures_come_move_and_have_the_right_colours(page: Browser, sink: WebSink) -> None:
    page.click("#rtc")
    wait_for_film(page)
    assert page.run("return document.getElementById('rtc').ariaPressed") == "true"
    page.wait_text("#drawn", "low latency")
    until_status(sink, lambda found: found["viewers"] == 1)  # and no stream of JPEG beside it
    corner = page.run(PIXELS + "[...pen.getImageData(5, 5, 1, 1).data]")
    assert corner[:3] == pytest.approx(ORANGE, abs=20)
    row = PIXELS + "pen.getImageData(0, 150, 320, 1).data.join()"
    first, time = page.run(row), page.run(VIDEO + "v.currentTime")
    page.wait("the bar moves", lambda: page.run(row) != first)
    page.wait("time goes on", lambda: page.run(VIDEO + "v.currentTime") > time)
    encoded = httpx.get(f"{sink.url}api/status").json()["encoded"]
    page.wait("more pictures", lambda: page.run(VIDEO + "v.currentTime") > time + 1)
    assert httpx.get(f"{sink.url}api/status").json()["encoded"] == encoded
    assert page.complaints() == []


def test_the_viewer_goes_back_and_the_choice_is_kept(page: Browser, sink: WebSink) -> None:
    page.click("#rtc")
    wait_for_film(page)
    page.run("location.reload()")
    page.wait_text("#state", "Running")
    wait_for_film(page)  # the old connection has made room
    page.click("#rtc")
    page.wait_text("#drawn", "by the camera")
    assert not page.run(VIDEO + "v.checkVisibility() || Boolean(v.srcObject)")
    wait_for_motion(page)
    until_status(sink, lambda found: found["viewers"] == 1)


def test_where_it_cannot_be_had_the_picture_comes_the_usual_way(page: Browser, sink: WebSink) -> None:
    """All places are taken."""
    page.run(
        "return (async () => { window.other = new RTCPeerConnection();"
        "other.addTransceiver('video', { direction: 'recvonly' }); await other.setLocalDescription();"
        "return (await fetch('api/webrtc', { method: 'POST',"
        "headers: { 'content-type': 'application/sdp' }, body: other.localDescription.sdp })).status; })()"
    )
    page.click("#rtc")
    page.wait_text("#said", "No low latency: 1 viewers")
    page.wait_text("#drawn", "by the camera")
    assert page.run("return document.getElementById('rtc').ariaPressed") == "false"
    wait_for_motion(page)


def test_a_connection_that_is_lost_falls_back_too(page: Browser, sink: WebSink) -> None:
    page.click("#rtc")
    wait_for_film(page)
    running = sink._running
    assert running is not None and running.site.webrtc._peers is not None
    running.site.webrtc.close(running._loop, 5)
    page.wait_text("#said", "the connection was lost")
    wait_for_motion(page)


def test_a_page_that_nobody_sees_lets_the_camera_go(page: Browser, sink: WebSink) -> None:
    show = (
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.click("#rtc")
    wait_for_film(page)
    page.run(show, True)
    until_status(sink, lambda found: found["viewers"] == 0)
    page.run(show, False)
    wait_for_film(page)


def test_it_is_not_offered_where_the_server_has_it_not(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "installed", lambda: False)
    with running() as sink, Feed(sink):
        browser.open(sink.url)
        browser.run("localStorage.setItem('edgecam.way', '\"rtc\"'); location.reload()")
        browser.wait_text("#state", "Running")
        wait_for_motion(browser)
        assert not browser.run("return document.getElementById('rtc').checkVisibility()")
        browser.run("localStorage.clear()")
