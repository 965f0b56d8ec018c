"""Pages to attack."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edgecam.sinks.web import WebSink
from tests.security.support import ANNA, HTML, Book, folder_with_a_snapshot, users_file
from tests.sinks.test_web_page_api import context
from tests.sinks.web_support import Camera, make


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[WebSink, Book]]:
    book = Book(folder / "edgecam.toml")
    sink = make(f"web:?port=0&edit=yes&users={users_file(folder)}")
    sink.start(context(editing=book, folders=(folder_with_a_snapshot(folder),)))
    sink.push(Camera().packet())
    try:
        yield sink, book
    finally:
        sink.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[WebSink, Book]]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def sink(served: tuple[WebSink, Book]) -> WebSink:
    """A page with two people and a token, that may be edited and has a snapshot; for one test alone."""
    return served[0]


@pytest.fixture
def book(served: tuple[WebSink, Book]) -> Book:
    return served[1]


@pytest.fixture
def anna(sink: WebSink) -> Iterator[httpx.Client]:
    """Signed in, as admin."""
    with httpx.Client(base_url=sink.url, headers=HTML) as client:
        assert client.post("/login", data=ANNA).status_code == 303
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebSink, Book]]:
    with serving(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def page(shared: tuple[WebSink, Book]) -> WebSink:
    """The same page for all tests of a file: for attacks that leave no trace."""
    return shared[0]


@pytest.fixture
def untouched(shared: tuple[WebSink, Book]) -> Iterator[None]:
    """Nothing is saved through the shared page meanwhile."""
    before = len(shared[1].saved)
    yield
    assert len(shared[1].saved) == before


@pytest.fixture(scope="module")
def admin(page: WebSink) -> Iterator[httpx.Client]:
    """Signed in there, as admin."""
    with httpx.Client(base_url=page.url, headers=HTML) as client:
        assert client.post("/login", data=ANNA).status_code == 303
        yield client
