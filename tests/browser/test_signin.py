"""Signing in, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam.sinks.web import WebSink
from tests.browser.driver import Browser
from tests.browser.test_page import Feed, wait_for_picture
from tests.security.support import PASSWORD, Book, users_file
from tests.sinks.test_web_page_api import context
from tests.sinks.web_support import make

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.resize(1280, 800)
        yield browser
        browser.open("about:blank")


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[WebSink]:
    sink = make(f"web:?port=0&edit=yes&users={users_file(tmp_path)}")
    sink.start(context(editing=Book(tmp_path / "edgecam.toml")))
    with Feed(sink):
        yield sink
    sink.close()


def sign_in(browser: Browser, name: str, password: str) -> None:
    browser.wait("the form is there", lambda: browser.run("return !!document.querySelector('#password')"))
    browser.type("#name", name)
    browser.type("#password", password)
    browser.click("button")


def test_people_sign_in_and_out_and_a_viewer_cannot_edit(browser: Browser, sink: WebSink) -> None:
    browser.open(sink.url)
    sign_in(browser, "ben", "wrong password")
    browser.wait_text("#wrong", "Name or password is wrong.")
    browser.complaints()  # the browser tells of the 401 itself
    sign_in(browser, "ben", PASSWORD)
    browser.wait_text("#state", "Running")
    wait_for_picture(browser)
    browser.wait_text("#who", "ben")
    assert browser.run("return document.querySelector('#edit').hidden")
    assert browser.complaints() == []
    browser.click("#account button")
    sign_in(browser, "anna", PASSWORD)
    browser.wait_text("#who", "anna")
    browser.wait(
        "the editor is offered", lambda: browser.run("return !document.querySelector('#edit').hidden")
    )
