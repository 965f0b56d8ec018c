"""Zones, lines and masks changed through the page's server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgecam.errors import ConfigError, UsageError
from edgecam.scene import Line, Rule, Scene, Zone
from edgecam.sinks.web import WebSink
from tests.sinks import web_support
from tests.sinks.test_web_page_api import context
from tests.sinks.web_support import make

SCENE = Scene(
    (Zone("door", ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9))),),
    (Line("gate", ((0.5, 0.0), (0.5, 1.0))),),
    (Rule("visitor", zone="door"),),
)


class Book(web_support.Book):
    """Takes anything but a zone named bad."""

    def check(self, wanted: Any) -> None:
        if wanted.get("zone") == [{"name": "bad"}]:
            raise ConfigError("zone: 'bad': points is missing")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "edgecam.toml")


@pytest.fixture
def editable(book: Book) -> Iterator[WebSink]:
    sink = make("web:?port=0&edit=yes")
    sink.start(context(scene=SCENE, region=(0.25, 0.0, 1.0, 0.5), editing=book))
    yield sink
    sink.close()


def put(sink: WebSink, body: Any, **headers: str) -> httpx.Response:
    secret = httpx.get(f"{sink.url}api/settings").json()["secret"]
    sent = {"content-type": "application/json", "x-edgecam-secret": secret}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.put(f"{sink.url}api/settings", content=data, headers=sent)


def test_editing_is_off_unless_asked_for(book: Book) -> None:
    sink = make("web:?port=0")
    sink.start(context(editing=book))
    try:
        assert httpx.get(f"{sink.url}api/settings").status_code == 403
        assert httpx.put(f"{sink.url}api/settings", json={"version": "v1"}).status_code == 403
        assert httpx.get(f"{sink.url}api/scene").json()["editable"] is False
    finally:
        sink.close()
    assert book.saved == []
    with pytest.raises(UsageError, match="everybody"):
        make("web://0.0.0.0:0?insecure=yes&edit=yes")


def test_the_pages_own_change_is_saved_and_taken(editable: WebSink, book: Book) -> None:
    assert httpx.get(f"{editable.url}api/scene").json() == {
        "zones": [{"name": "door", "points": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]}],
        "lines": [{"name": "gate", "points": [[0.5, 0.0], [0.5, 1.0]]}],
        "rules": [{"name": "visitor", "zone": "door", "line": None}],
        "region": [0.25, 0.0, 1.0, 0.5],
        "editable": True,
    }
    origin = editable.url.rstrip("/")
    answer = put(editable, {"version": "v1", "zone": []}, origin=origin, sec_fetch_site="same-origin")
    assert answer.json() == {"saved": str(book.file), "applied": True}
    assert (book.saved, book.applied) == ([({"zone": []}, "v1")], 1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"x_edgecam_secret": "guess"}, 403),
        ({"x_edgecam_secret": ""}, 403),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_nobody_elses_page_can_change_a_thing(
    headers: dict[str, str], status: int, editable: WebSink, book: Book
) -> None:
    assert put(editable, {"version": "v1", "zone": []}, **headers).status_code == status
    assert (book.saved, book.applied) == ([], 0)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        ([], 400, "version"),
        ({"version": "v1", "token": []}, 400, "zone, line, mask"),
        ({"version": "v1", "zone": {}}, 400, "zone, line, mask"),
        ({"version": "v1", "zone": [{"name": "bad"}]}, 422, "points is missing"),
        (b" " * 300_000, 413, "bytes"),
    ],
)
def test_what_is_no_good_is_told(body: Any, status: int, words: str, editable: WebSink, book: Book) -> None:
    answer = put(editable, body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert (book.saved, book.applied) == ([], 0)


def test_what_is_wrong_with_a_rule_is_said_with_its_place(editable: WebSink, book: Book) -> None:
    """A label that the model has not is found here: the settings file is checked without a model."""
    answer = put(editable, {"version": "v1", "rule": [{"name": "a"}, {"name": "b", "labels": ["catt"]}]})
    assert answer.status_code == 422
    assert answer.json()["at"] == {"kind": "rule", "number": 1, "key": "labels"}
    assert "did you mean 'cat'?" in answer.json()["error"]
    assert book.saved == []
    assert put(editable, {"version": "v1", "rule": [{"name": "b", "labels": ["cat"]}]}).status_code == 200
    assert httpx.get(f"{editable.url}api/settings").json()["labels"] == ["person", "cat", "自転車"]
