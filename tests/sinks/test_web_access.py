"""Safe by default: who is let in, and what a browser may do with what it gets."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import journal
from edgecam.sinks.web import WebSink, server
from edgecam.sinks.web.auth import Access, is_loopback, split_host
from edgecam.sinks.web.protection import Protection, protect
from tests.sinks.web_support import Camera, Events, Reports, Viewer, running

TOKEN = "correct horse/battery+staple"
HTML = {"accept": "text/html,application/xhtml+xml"}
OPTIONS = {"token": "", "users": "", "insecure": False, "tls": False, "cert": "", "key": "", "names": ()}


WITH_TOKEN = "web:?port=0&token=correct%20horse/battery%2Bstaple"


@pytest.fixture
def locked() -> Iterator[WebSink]:
    """A page that asks for the token."""
    with running(WITH_TOKEN) as sink:
        sink.push(Camera().packet())
        yield sink


@pytest.fixture(scope="module")
def unlocked() -> Iterator[WebSink]:
    """A page on loopback without a token."""
    with running("web:?port=0&names=other.example,Cam.Example.org") as sink:
        sink.push(Camera().packet())
        yield sink


class At:
    """A socket that says where it is bound."""

    def __init__(self, address: str, port: int = 8080) -> None:
        self.place = (address, port)

    def getsockname(self) -> tuple[str, int]:
        return self.place


@pytest.mark.parametrize(
    ("address", "token", "insecure", "made", "asks"),
    [
        ("127.0.0.1", "", False, False, False),
        ("127.8.9.1", "", False, False, False),
        ("::1", "", False, False, False),
        ("127.0.0.1", "mine", False, False, True),
        ("0.0.0.0", "", False, True, True),
        ("::", "", False, True, True),
        ("192.168.1.5", "", False, True, True),
        ("fe80::1%eth0", "", False, True, True),
        ("0.0.0.0", "mine", False, False, True),
        ("0.0.0.0", "", True, False, False),
        ("0.0.0.0", "mine", True, False, True),
    ],
)
def test_an_address_beyond_this_machine_needs_a_token(
    address: str,
    token: str,
    insecure: bool,
    made: bool,
    asks: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    options = OPTIONS | {"token": token, "insecure": insecure}

    def begin(port: int = 8080) -> Protection:
        return protect(cast(socket.socket, At(address, port)), options)

    found = begin()
    assert found.access.asks is asks
    if token:
        assert found.access.token == token
    kept = tmp_path / "edgecam" / "page-token-8080"
    assert kept.exists() is made
    if made:
        assert len(found.access.token) >= 16
        assert found.access.token in found.words[0]
        # The same at the next start, so that a phone need not be told again; another for another page.
        assert begin().access.token == found.access.token
        assert begin(8081).access.token != found.access.token
        assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_made_token_is_not_written_into_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "connected", lambda: True)
    found = protect(cast(socket.socket, At("0.0.0.0", 8099)), OPTIONS)
    assert found.access.token and found.access.token not in " ".join(found.words)
    assert "page-token-8099" in found.words[0] and "edgecam web passwd" in found.words[0]


class Everywhere(socket.socket):
    """A socket on 127.0.0.1 that says it is bound to every address."""

    def getsockname(self) -> Any:
        return "0.0.0.0", super().getsockname()[1]


def test_a_made_token_is_told_once_and_opens_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(host: str, port: int) -> socket.socket:
        assert (host, port) == ("0.0.0.0", 0)
        sock = Everywhere()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        return sock

    monkeypatch.setattr(server, "bind", bind)
    reports = Reports()
    with running("web://0.0.0.0:0", reports) as sink:
        (line,) = reports.lines
        found = re.fullmatch(r"page: (http://[^/]+:(\d+)/\?token=([\w-]{16,}))", line)
        assert found
        assert sink.link == found[1]
        assert found[3] not in sink.url + sink.name
        here = f"http://127.0.0.1:{found[2]}/"
        assert httpx.get(here).status_code == 401
        with httpx.Client() as client:
            assert client.get(f"{here}?token={found[3]}", follow_redirects=True).status_code == 200


def test_the_users_own_token_is_not_repeated() -> None:
    reports = Reports()
    with running(WITH_TOKEN, reports) as sink:
        assert reports.lines == [f"page: {sink.url} (asks for your token)"]
        assert TOKEN not in sink.name


@pytest.mark.parametrize(
    "path", ["", "stream.mjpg", "snapshot.jpg", "events", "api/status", "page.js", "none"]
)
def test_without_the_token_nothing_is_shown(path: str, locked: WebSink) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        answer = httpx.get(locked.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "token is needed" in answer.text
    assert httpx.get(f"{locked.url}{path}?token=wrong").status_code == 401


@pytest.mark.parametrize("path", ["stream.mjpg", "events", "snapshot.jpg", "api/status"])
def test_the_token_opens_by_header_or_by_address(path: str, locked: WebSink) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client() as client:
        for request in (
            client.build_request("GET", locked.url + path, headers=bearer),
            client.build_request("GET", locked.url + path, params={"token": TOKEN}),
        ):
            answer = client.send(request, stream=True)
            assert answer.status_code == 200
            # Whoever names the token in the address may embed the picture in a page of their own.
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
            answer.close()


def test_the_address_with_the_token_becomes_a_cookie_and_a_clean_address(locked: WebSink) -> None:
    with httpx.Client() as client:
        answer = client.get(locked.link)
        assert answer.status_code == 303
        assert answer.headers["location"] == "./"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"edgecam-{urlsplit(locked.url).port}=")
        assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert client.get(locked.url).status_code == 200
        assert client.get(f"{locked.url}api/status").status_code == 200


def test_a_link_from_another_site_gets_in_too(locked: WebSink) -> None:
    """Strict cookies are not sent along a redirect that another site began, but they are after a refresh."""
    answer = httpx.get(locked.link, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert answer.headers["refresh"] == "0; url=./"
    assert "set-cookie" in answer.headers


def test_an_old_address_with_a_token_opens_an_open_page(unlocked: WebSink) -> None:
    answer = httpx.get(f"{unlocked.url}?token=old")
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    assert "set-cookie" not in answer.headers


def test_the_cookie_of_another_token_is_refused() -> None:
    with running("web:?port=0&token=other") as other, running(WITH_TOKEN) as sink:
        stale = httpx.get(other.link).headers["set-cookie"].partition(";")[0].partition("=")[2]
        name = f"edgecam-{urlsplit(sink.url).port}"
        assert httpx.get(sink.url, headers={"cookie": f"{name}={stale}"}).status_code == 401
        assert httpx.get(sink.url, headers={"cookie": f"{name}={TOKEN}"}).status_code == 401


def test_a_browser_gets_a_form_that_works(locked: WebSink) -> None:
    with httpx.Client(headers=HTML) as client:
        page = client.get(locked.url)
        assert page.status_code == 401
        assert page.headers["content-type"].startswith("text/html")
        assert '<form class="panel" method="post" action="login">' in page.text
        assert page.text.count('role="alert"') == page.text.count("hidden>") == 2
        assert client.get(f"{locked.url}page.css").status_code == 200  # the form's own look
        wrong = client.post(f"{locked.url}login", data={"token": "wrong"})
        assert wrong.status_code == 401
        assert 'id="wrong">' in wrong.text and 'id="often" hidden>' in wrong.text
        right = client.post(f"{locked.url}login", data={"token": TOKEN})
        assert right.status_code == 303
        assert client.get(locked.url).status_code == 200


def test_a_huge_form_is_refused(locked: WebSink) -> None:
    answer = httpx.post(f"{locked.url}login", content=b"token=" + b"x" * 10_000)
    assert answer.status_code == 413


def test_the_token_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for client in ("httpx", "httpcore"):  # the test's own requests
        caplog.set_level(logging.WARNING, client)
    with running(WITH_TOKEN) as sink:
        httpx.get(sink.link)
        httpx.get(f"{sink.url}none", params={"token": TOKEN})
        httpx.post(f"{sink.url}login", data={"token": TOKEN})
    assert "correct" not in caplog.text
    assert "battery" not in caplog.text


def test_health_without_the_token_is_the_bare_state() -> None:
    with running(WITH_TOKEN) as sink:
        sink.push(Camera().packet(state="waiting", message="rtsp://garage/ does not answer"))
        bare = httpx.get(f"{sink.url}healthz")
        assert (bare.status_code, bare.json()) == (503, {"state": "waiting"})
        full = httpx.get(f"{sink.url}healthz", params={"token": TOKEN})
        assert full.json()["reason"] == "rtsp://garage/ does not answer"


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("127.0.0.1:8080", True),
        ("localhost", True),
        ("LOCALHOST.:1", True),
        ("[::1]:8080", True),
        ("192.168.1.5", True),
        (f"{socket.gethostname()}:8080", True),
        (f"{socket.gethostname().partition('.')[0]}.local", True),
        ("cam.example.org", True),  # named by the user
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8080", False),
        ("evil.example#@127.0.0.1", False),
        ("", False),
    ],
)
def test_without_a_token_only_own_names_are_answered(host: str, right: bool, unlocked: WebSink) -> None:
    answer = httpx.get(unlocked.url, headers={"host": host})
    assert answer.status_code == (200 if right else 403)
    if not right:
        assert "names=" in answer.text
        assert "edgecam</title>" not in answer.text


def test_a_token_is_answered_by_every_name_and_a_cookie_is_not(locked: WebSink) -> None:
    elsewhere = {"host": "cam.example.org"}
    shown = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(locked.url, headers=elsewhere | shown).status_code == 200
    with httpx.Client() as client:
        client.get(locked.link)
        assert client.get(locked.url).status_code == 200
        assert client.get(locked.url, headers=elsewhere).status_code == 403
    assert httpx.get(locked.url, headers=elsewhere).status_code == 403


@given(st.text())
def test_a_strange_host_header_is_no_name_of_ours(header: str) -> None:
    access = Access("", "edgecam-1", names=frozenset({"localhost"}))
    host = split_host(header)
    assert host == host.lower()
    if access.right_host(header):
        assert host == "localhost" or is_loopback(host) or re.fullmatch(r"[0-9a-f:.]+(%.+)?", host)


def test_an_open_page_tells_so_and_may_be_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(host: str, port: int) -> socket.socket:
        sock = Everywhere()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        return sock

    monkeypatch.setattr(server, "bind", bind)
    reports = Reports()
    with running("web://0.0.0.0:0?insecure=yes", reports) as sink:
        assert reports.lines == [f"page: {sink.url} (open to everybody who reaches this machine)"]
        answer = httpx.get(f"http://127.0.0.1:{urlsplit(sink.url).port}/healthz")
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("path", ["", "page.js", "page.css", "favicon.svg", "healthz", "api/status", "none"])
def test_every_answer_ties_the_browsers_hands(path: str, unlocked: WebSink) -> None:
    headers = httpx.get(unlocked.url + path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


def test_streams_carry_the_same_headers(unlocked: WebSink) -> None:
    for stream in (Viewer(unlocked), Events(unlocked)):
        assert "default-src 'none'" in stream.response.headers["content-security-policy"]
        stream.close()
