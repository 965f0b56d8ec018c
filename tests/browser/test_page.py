"""The page in a real browser."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from edgecam.overlay import class_color
from edgecam.sinks.web import WebSink
from edgecam.types import Detections, Frame, Image, Packet, Result, State, Status
from tests.browser.driver import Browser
from tests.sinks.web_support import LABELS, Camera, Pusher, classes, detections, running

pytestmark = pytest.mark.browser

ORANGE = (230, 120, 20)


class Feed(Pusher):
    """A camera whose packets show what a test says."""

    def __init__(self, sink: WebSink) -> None:
        super().__init__(sink)
        self.result: Result | None = detections()
        self.state: State = "running"
        self.message = ""
        self.source = "camera:0"
        self.labels: tuple[str, ...] = LABELS
        self.frames = 0

    def packet(self) -> Packet:
        """Orange, with a bar that moves."""
        image: Image = np.full((180, 320, 3), ORANGE, np.uint8)
        left = self.frames * 8 % 300
        image[120:, left : left + 20] = 255
        status = Status(
            state=self.state,
            message=self.message,
            source=self.source,
            model="detect-coco",
            device="CPU, 4 threads",
            runtime="ai-edge-litert",
            camera_fps=29.97,
            inference_fps=14.5,
            inference_ms=12.34,
            age_ms=20.6,
            frames=self.frames,
            dropped=1234,
        )
        result = self.result if self.state == "running" else None
        packet = Packet(Frame(self.frames, image), result, self.labels, status)
        self.frames += 1
        return packet


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A window of a laptop's size; whatever a test leaves open is closed."""
    chromium.resize(1280, 800)
    chromium.scheme("light")
    chromium.complaints()
    yield chromium
    chromium.open("about:blank")


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with running() as sink:
        yield sink


@pytest.fixture
def feed(sink: WebSink) -> Iterator[Feed]:
    with Feed(sink) as feed:
        yield feed


@pytest.fixture
def page(browser: Browser, sink: WebSink, feed: Feed) -> Browser:
    """The page, live."""
    browser.open(sink.url)
    browser.wait_text("#state", "Running")
    wait_for_picture(browser)
    return browser


def wait_for_picture(browser: Browser) -> None:
    browser.wait(
        "a picture is drawn", lambda: browser.run("return document.getElementById('picture').width") == 320
    )


def pixels(browser: Browser) -> str:
    return str(browser.run("return document.getElementById('picture').toDataURL()"))


def wait_for_motion(browser: Browser) -> None:
    before = pixels(browser)
    browser.wait("the picture changes", lambda: pixels(browser) != before)


def test_the_picture_moves_and_has_the_right_colours(page: Browser) -> None:
    wait_for_motion(page)
    corner = page.run(
        "return [...document.getElementById('picture').getContext('2d').getImageData(5, 5, 1, 1).data]"
    )
    assert corner[:3] == pytest.approx(ORANGE, abs=6)  # red and blue not swapped
    assert page.complaints() == []


def test_results_are_listed_with_counts_and_scores(page: Browser) -> None:
    rows = "return [...document.querySelectorAll('#results li')].map(r => r.innerText.split('\\n'))"
    assert page.run(rows) == [["person", "90%"], ["自転車", "75%"], ["person", "50%"]]
    chips = "return [...document.querySelectorAll('#counts li')].map(r => r.innerText.replace('\\n', ' '))"
    assert page.run(chips) == ["person ×2", "自転車 ×1"]
    wide = page.run(
        "return [...document.querySelectorAll('#results i')].map(bar =>"
        " parseFloat(getComputedStyle(bar, '::after').width) / bar.clientWidth)"
    )
    assert wide == pytest.approx([0.9, 0.75, 0.5], abs=0.02)
    assert page.text("#spoken") == "2 person, 1 自転車"
    assert page.complaints() == []


def test_results_follow_the_camera(page: Browser, feed: Feed) -> None:
    feed.result = Detections.empty()
    page.wait_text("#empty", "Nothing recognised")
    assert page.run("return document.querySelectorAll('#results li, #counts li').length") == 0
    feed.result = classes()
    page.wait_text("#results", "cat")
    rows = "return [...document.querySelectorAll('#results li')].map(r => r.innerText.split('\\n'))"
    assert page.run(rows) == [["cat", "80%"], ["person", "15%"]]
    assert not page.run("return document.querySelector('#counts').checkVisibility()")


def test_colours_are_those_of_the_picture(page: Browser) -> None:
    ids = [*range(40), 90, 999]
    seen = page.run(
        "const probe = document.body.appendChild(document.createElement('p'));"
        "return import('./dom.js').then(({ color }) => arguments[0].map(id => {"
        " probe.style.color = color(id); return getComputedStyle(probe).color; }))",
        ids,
    )
    for class_id, text in zip(ids, seen, strict=True):
        rgb = [int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(",")]
        assert rgb == pytest.approx(class_color(class_id), abs=2), class_id


def test_figures_and_facts(page: Browser) -> None:
    expected = {
        "#camera-fps": "30.0",
        "#inference-fps": "14.5",
        "#inference-ms": "12.3",
        "#age": "21",
        "#dropped": "1,234",
        "#source": "camera:0",
        "#model": "detect-coco",
        "#device": "CPU, 4 threads",
        "#runtime": "ai-edge-litert",
        "#size": "320 × 180",
    }
    assert {selector: page.text(selector) for selector in expected} == expected


def test_markup_in_a_label_is_only_text(page: Browser, feed: Feed) -> None:
    feed.labels = ("<img src=x onerror=alert(1)>", "b", "c")
    page.wait_text("#results", "<img src=x")
    assert page.run("return document.querySelectorAll('#results img').length") == 0
    assert page.complaints() == []


@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (844, 390), (768, 1024), (1280, 800)])
def test_no_screen_needs_sideways_scrolling(page: Browser, feed: Feed, width: int, height: int) -> None:
    feed.labels = ("a-label-that-no-phone-is-wide-enough-for-" * 3, "cat", "dog")
    feed.source = "rtsp://a.very.long.host.name.in.the.garage.example.org:8554/stream/number/one"
    page.wait_text("#results", "a-label")
    page.resize(width, height, mobile=width < 900)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    box = page.run(
        "const r = document.getElementById('stage').getBoundingClientRect(); return [r.width, r.height]"
    )
    assert box[0] >= 0.6 * width
    assert 0.9 * height >= box[1] >= 0.2 * height
    cut = page.run(
        "return [...document.querySelectorAll('button, a, dt, dd, #results b')].filter(e => {"
        " const r = e.getBoundingClientRect();"
        " return e.checkVisibility() && (r.right > innerWidth + 1 || r.left < -1);"
        "}).map(e => e.outerHTML)"
    )
    assert cut == []


def test_results_coming_and_going_move_nothing(page: Browser, feed: Feed) -> None:
    place = (
        "return JSON.stringify([...document.querySelectorAll('#stage, .figures, .facts')]"
        ".map(e => e.getBoundingClientRect()))"
    )
    before = page.run(place)
    feed.result = Detections.empty()
    page.wait_text("#empty", "Nothing recognised")
    assert page.run(place) == before
    many = 60
    boxes = np.tile(np.array([[1, 1, 9, 9]], np.float32), (many, 1))
    feed.result = Detections(boxes, np.full(many, 0.5, np.float32), np.zeros(many, np.int32))
    page.wait_text("#counts", "×60")
    assert page.run(place) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(page: Browser, scheme: str) -> None:
    page.scheme(scheme)
    colors = page.run(
        "const shown = (e) => { while (e && getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)')"
        " e = e.parentElement; return getComputedStyle(e || document.documentElement).backgroundColor; };"
        "return ['h1', 'h2', '#source', 'dt', '#camera-fps', '#results b', '#results span', '#counts b',"
        " '#model'].map(s => document.querySelector(s)).map(e => [getComputedStyle(e).color, shown(e)])"
    )
    for ink, ground in colors:
        assert contrast(ink, ground) >= 4.5, (ink, ground)
    ground = page.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert (luminance(ground) > 0.5) is (scheme == "light")


def luminance(css: str) -> float:
    parts = [int(part) / 255 for part in css[css.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Browser) -> None:
    reached = []
    wanted = ["snapshot", "full", "", "results"]  # the empty one is the filter's summary
    if importlib.util.find_spec("aiortc"):
        wanted.insert(1, "rtc")
        page.wait_text("#rtc", "Low latency")
    for _ in wanted:
        page.key("Tab")
        reached.append(page.run("return document.activeElement.id"))
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == wanted


def test_snapshot_and_full_screen(page: Browser) -> None:
    link = page.run(
        "const a = document.getElementById('snapshot'); return [a.href, a.hasAttribute('download')]"
    )
    assert link[1]
    assert httpx.get(link[0]).headers["content-type"] == "image/jpeg"
    page.click("#full")
    page.wait("full screen", lambda: page.run("return document.fullscreenElement?.id === 'stage'"))
    page.wait_text("#full", "Leave full screen")
    page.click("#full")
    page.wait("back", lambda: page.run("return document.fullscreenElement === null"))


def test_a_lost_camera_is_told_and_comes_back(page: Browser, feed: Feed) -> None:
    feed.message = "/dev/video0 is gone"
    feed.state = "waiting"
    page.wait_text("#state", "Waiting for camera")
    page.wait_text("#notice", "/dev/video0 is gone")
    assert page.text("#empty") == "No picture to look at"
    assert "Waiting for camera" in page.run("return document.title")
    feed.state = "running"
    page.wait_text("#state", "Running")
    assert page.text("#notice") == ""
    wait_for_motion(page)


def test_silence_is_told(browser: Browser, sink: WebSink) -> None:
    browser.open(sink.url)
    browser.wait_text("#notice", "Waiting for the first picture")
    sink.push(Camera().packet())
    browser.wait_text("#state", "Running")
    browser.wait_text("#state", "Stalled")
    browser.wait_text("#notice", "No news from the camera")


def test_the_page_comes_back_when_the_server_does(browser: Browser) -> None:
    with running() as first, Feed(first):
        browser.open(first.url)
        browser.wait_text("#state", "Running")
        wait_for_picture(browser)
        port = urlsplit(first.url).port
    browser.wait_text("#state", "Stopped")
    browser.wait_text("#notice", "comes back by itself")
    assert len(pixels(browser)) > 1000  # the last picture stays
    with running(f"web:?port={port}") as second, Feed(second):
        browser.wait_text("#state", "Running")
        wait_for_motion(browser)
        assert not [line for line in browser.complaints() if "ERR_CONNECTION_REFUSED" not in line]


def test_a_picture_that_breaks_off_alone_comes_back(page: Browser, sink: WebSink) -> None:
    """Its connection is cut in the middle, the events go on."""
    assert sink._running is not None
    server = sink._running.server
    loop, connections = server._loop, server._server.server_state.connections  # type: ignore[union-attr]

    def cut() -> None:
        for connection in list(connections):
            if connection.scope and connection.scope["path"] == "/stream.mjpg":
                connection.transport.abort()

    loop.call_soon_threadsafe(cut)
    until_status(sink, lambda found: found["viewers"] == 0)
    until_status(sink, lambda found: found["viewers"] == 1)
    wait_for_motion(page)


def until_status(sink: WebSink, right: Callable[[dict[str, int]], bool]) -> None:
    deadline = time.monotonic() + 15
    while not right(httpx.get(f"{sink.url}api/status").json()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_lost_in_silence_is_made_anew(browser: Browser, sink: WebSink) -> None:
    sink.push(Camera().packet())
    browser.open(sink.url)
    browser.wait_text("#state", "Running")
    browser.run(
        "return import('./link.js').then(({ link }) => {"
        " window.link = link; window.before = link.events; link.latestAt = -1e6; })"
    )
    browser.wait("a new connection", lambda: browser.run("return link.events && link.events !== before"))
    # The packet that greets the new connection is old news, and is not taken for life.
    browser.wait_text("#state", "Stalled")


def test_a_page_that_nobody_sees_lets_the_camera_go(page: Browser, sink: WebSink) -> None:
    show = (
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.run(show, True)
    until_status(sink, lambda found: found["viewers"] == 0 and found["listeners"] == 0)
    page.run(show, False)
    page.wait_text("#state", "Running")
    wait_for_motion(page)


def test_signing_in(browser: Browser, tmp_path: Path) -> None:
    with running("web:?port=0&token=sesame") as sink, Feed(sink):
        port = urlsplit(sink.url).port
        browser.open(sink.url)
        browser.wait_text("form", "Enter the token")
        browser.type("#token", "wrong")
        browser.key("Enter")
        browser.wait_text("form", "not the right token")
        browser.type("#token", "sesame")
        browser.key("Enter")
        browser.wait_text("#state", "Running")
        wait_for_motion(browser)
        assert browser.run("return location.href") == sink.url
        assert browser.run("return document.cookie") == ""  # out of every script's reach
    # The server comes back with another token: the page asks for it by itself.
    with running(f"web:?port={port}&token=other") as sink, Feed(sink):
        browser.wait_text("form", "Enter the token")
        browser.open(sink.link)
        browser.wait_text("#state", "Running")
        assert "other" not in browser.run("return location.href")
