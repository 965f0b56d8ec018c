"""The page of several cameras, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from edgecam.sinks.web import WebSink
from tests.browser.driver import Browser
from tests.browser.test_page import ORANGE, Feed
from tests.browser.test_page import browser as browser
from tests.browser.test_page import chromium as chromium
from tests.sinks.web_support import running

pytestmark = pytest.mark.browser
CARDS = "return [...document.querySelectorAll('#grid li')].map(li => "


@pytest.fixture
def door() -> Iterator[WebSink]:
    """Another camera, which asks for a token."""
    with running("web:?port=0&token=se%2Fsame") as sink:
        yield sink


@pytest.fixture
def page(browser: Browser, door: WebSink) -> Iterator[Browser]:
    """A page beside which the door is shown, and a shed that is not there."""
    shown = quote(f"Tür={door.url}?token=se%2Fsame,Shed=http://127.0.0.1:1", safe="")
    with running(f"web:?port=0&cameras={shown}") as sink, Feed(sink):
        browser.open(sink.url)
        browser.wait_text("#neighbours", "All cameras")
        browser.click("#neighbours")
        browser.wait("a card for each", lambda: browser.run(CARDS + "1).length") == 3)
        yield browser


def widths(page: Browser) -> list[int]:
    return list(page.run(CARDS + "li.querySelector('img').naturalWidth)"))


def numbers(page: Browser) -> list[int]:
    """How many pictures each card has asked for."""
    return list(page.run(CARDS + "Number(/n=(\\d+)/.exec(li.querySelector('img').src)[1]))"))


def test_each_camera_has_its_picture_or_says_that_there_is_none(page: Browser, door: WebSink) -> None:
    with Feed(door):
        names = page.run(CARDS + "li.querySelector('strong').innerText)")
        assert names == ["This camera", "Tür", "Shed"]
        page.wait("two pictures", lambda: widths(page)[:2] == [320, 320])
        said = CARDS + "li.querySelector('[role=status]').innerText)"
        page.wait("the shed is missed", lambda: page.run(said) == ["", "", "No picture"])
        before = numbers(page)
        page.wait(
            "both go on", lambda: all(a > b + 1 for a, b in zip(numbers(page)[:2], before, strict=False))
        )
        inks = page.run(
            "const pen = new OffscreenCanvas(320, 180).getContext('2d');"
            "pen.drawImage(document.querySelector('#grid img'), 0, 0);"
            "return [...pen.getImageData(5, 5, 1, 1).data]"
        )
        assert inks[:3] == pytest.approx(ORANGE, abs=6)
    unexpected = [line for line in page.complaints() if "127.0.0.1:1/" not in line]
    assert unexpected == []


def test_a_camera_that_comes_back_is_shown_again(page: Browser, door: WebSink) -> None:
    """It has had no picture yet."""
    page.wait(
        "no picture", lambda: page.run(CARDS + "li.querySelector('.frame').classList.contains('gone'))")[1]
    )
    with Feed(door):
        page.wait("a picture", lambda: widths(page)[1] == 320)
        assert not page.run(CARDS + "li.querySelector('.frame').classList.contains('gone'))")[1]


def test_a_card_leads_to_its_cameras_page(page: Browser, door: WebSink) -> None:
    with Feed(door):
        page.wait("a picture", lambda: widths(page)[1] == 320)
        page.click("#grid li:nth-child(2) a")
        page.wait("its page", lambda: page.run("return location.href") == door.url)  # no token in it
        page.wait_text("#state", "Running")


def test_the_keyboard_reaches_every_card(page: Browser) -> None:
    reached = []
    for _ in range(4):
        page.key("Tab")
        reached.append(page.run("return document.activeElement.innerText.split('\\n').pop()"))
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["This camera", "This camera", "Tür", "Shed"]  # the first is the way back


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 3)])
def test_cards_stand_as_there_is_room(page: Browser, width: int, columns: int) -> None:
    page.resize(width, 844, mobile=width < 600)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    tops = page.run(CARDS + "Math.round(li.getBoundingClientRect().top))")
    assert tops.count(tops[0]) == columns
