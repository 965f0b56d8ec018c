"""Films of events and recordings, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.registry import sink_uri
from edgecam.sinks.segments import SegmentsSink
from edgecam.sinks.web import WebSink
from tests.browser.driver import Browser
from tests.browser.test_page import Feed
from tests.browser.test_page import browser as browser
from tests.browser.test_page import chromium as chromium
from tests.sinks.film_support import WALL, camera, need_ffprobe
from tests.sinks.support import Listener
from tests.sinks.test_web_page_api import context, event
from tests.sinks.web_support import make

pytestmark = [pytest.mark.browser, pytest.mark.ffmpeg]
FILM = "const f = document.getElementById('film'); return "


def record(uri: str, at: float, seconds: float) -> None:
    """Segments of pictures that get brighter, beginning ``at`` seconds after the others' time."""
    sink = SegmentsSink(sink_uri(uri))
    sink.start(Listener().context(live=False))
    for i in range(round(seconds * 10)):
        picture: Any = np.full((96, 160, 3), 40 + i, np.uint8)
        kept = "codec=jpeg" in uri
        sink.push(camera(at + i / 10) if kept else camera(at + i / 10, image=picture))
    sink.close()
    assert not sink.failed, sink.failed


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments of a second in H.264, one of the day before that holds JPEG, and a clip of each kind."""
    need_ffprobe()
    folder = tmp_path_factory.mktemp("kept")
    record(f"record:{folder}/?codec=h264&age=0&segment=1s", 0, 1)
    record(f"record:{folder}/?codec=h264&age=0&segment=10s", 60, 2)
    record(f"record:{folder}/?codec=jpeg&age=0", -86400, 1)
    older, newer = sorted(path for path in folder.iterdir() if path.is_dir())
    for name, day, number in (("clip-090000-door", newer, 1), ("clip-080000-door", older, 2)):
        whole = next(day.glob("segment-*.mp4"))
        (newer / f"{name}.mp4").write_bytes(whole.read_bytes())
        about = event(number, start={"time": WALL + number}, rule=f"door {number}")
        (newer / f"{name}.json").write_text(json.dumps({"events": [about]}))
    return folder


@pytest.fixture
def sink(films: Path) -> Iterator[WebSink]:
    sink = make("web:?port=0")
    sink.start(context(films=(films,), folders=(films,)))
    yield sink
    sink.close()


@pytest.fixture
def page(browser: Browser, sink: WebSink) -> Iterator[Browser]:
    with Feed(sink):
        browser.open(sink.url)
        browser.wait_text("#state", "Running")
        browser.wait("recordings", lambda: browser.text("#segment-count"))
        yield browser


def film_of(page: Browser, rule: str) -> None:
    """Open the film of an event."""
    page.wait_text("#events", rule)
    page.wait(
        "the button",
        lambda: page.run(
            "document.getElementById('wanted')?.removeAttribute('id');"
            "const rows = [...document.querySelectorAll('#events li')];"
            "const film = rows.find(r => r.innerText.includes(arguments[0]))?.querySelector('button');"
            "if (film) film.id = 'wanted'; return Boolean(film)",
            rule,
        ),
    )
    page.click("#wanted")


def test_a_film_plays_and_closes(page: Browser) -> None:
    film_of(page, "door 1")
    page.wait("it plays to its end", lambda: page.run(FILM + "f.videoWidth === 160 && f.currentTime > 0.5"))
    assert page.run("return document.getElementById('player').open")
    assert page.text("#player-title").startswith("door 1: person")
    assert page.text("#film-trouble") == ""
    link = page.run("return document.getElementById('film-link').href")
    assert link.endswith("/clip-090000-door.mp4")
    page.click("#player-close")
    page.wait("closed", lambda: not page.run("return document.getElementById('player').open"))
    # The event of closing comes a moment after the dialog is gone.
    page.wait("its film is let go", lambda: page.run(FILM + "f.paused && !f.hasAttribute('src')"))
    assert page.run("return document.activeElement.id") == "wanted"  # where one was before
    assert page.complaints() == []


def test_the_keyboard_opens_and_closes_a_film(page: Browser) -> None:
    page.wait_text("#segments", "–")
    page.run("document.querySelector('#segments button').focus()")
    page.key("Enter")
    page.wait("open", lambda: page.run("return document.getElementById('player').open"))
    page.key("Escape")
    page.wait("closed", lambda: not page.run("return document.getElementById('player').open"))
    assert page.run("return document.activeElement.closest('#segments') !== null")


def test_a_film_that_no_browser_plays_is_told_and_can_be_saved(page: Browser) -> None:
    film_of(page, "door 2")
    page.wait_text("#film-trouble", "VLC")
    assert not page.run(FILM + "f.checkVisibility()")
    assert page.run("return document.getElementById('film-link').checkVisibility()")
    page.click("#player-close")
    film_of(page, "door 1")
    page.wait("the next one plays", lambda: page.run(FILM + "f.checkVisibility() && f.currentTime > 0"))
    assert page.text("#film-trouble") == ""


def test_recordings_of_a_day_play_one_after_the_other(page: Browser) -> None:
    page.wait("two of the day", lambda: page.text("#segment-count") == "2")
    assert page.run("return document.querySelectorAll('#segments button').length") == 2
    assert page.text("#recorded-mute") == ""
    page.click("#segments li:last-child button")  # the older one
    first = "segment-" + page.run(FILM + "f.src").rpartition("segment-")[2]
    page.wait("it shows pictures", lambda: page.run(FILM + "f.videoWidth") == 160)
    page.wait("the next follows", lambda: not page.run(FILM + "f.src").endswith(first))
    page.wait("it plays too", lambda: page.run(FILM + "f.currentTime > 0.3 && f.duration > 1.5"))
    assert page.complaints() == []


def test_another_day_is_chosen(page: Browser) -> None:
    """Its recording is one of those that no browser plays."""
    page.wait("two days", lambda: page.run("return document.getElementById('recorded-day').length") == 2)
    page.run(
        "const d = document.getElementById('recorded-day'); d.selectedIndex = 1;"
        "d.dispatchEvent(new Event('change'))"
    )
    page.wait("one of that day", lambda: page.text("#segment-count") == "1")
    page.wait_text("#recorded-mute", "codec=h264")
    assert page.run("return document.querySelectorAll('#segments button').length") == 0
    assert page.run("return document.querySelector('#segments a').hasAttribute('download')")


def test_a_page_without_recordings_shows_none(browser: Browser) -> None:
    sink = make("web:?port=0")
    sink.start(context())
    try:
        with Feed(sink):
            browser.open(sink.url)
            browser.wait_text("#state", "Running")
            browser.wait("the figures", lambda: browser.text("#frames") != "–")
            assert not browser.run("return document.getElementById('recorded').checkVisibility()")
    finally:
        sink.close()
