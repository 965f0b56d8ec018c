"""Requests that are none, go where they should not, or take more than their share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from edgecam.sinks.web import WebSink
from edgecam.types import Packet
from tests.security.support import TOKEN, bearer, raw
from tests.sinks.web_support import Camera, Events, running


def request(line: str, *headers: str) -> bytes:
    """A request as it goes over the wire, with the right token."""
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/kept/../../etc/passwd",
        "/kept/0/2026-07-04/../../secret.txt",
        "/kept/%2e%2e/%2e%2e/secret.txt",
        "/kept/0/2026-07-04/..%2f..%2fsecret.txt",
        "/kept/0/..%5c..%5csecret.txt",
        "/kept//etc/passwd",
        "/kept/%2fetc%2fpasswd",
        "/kept/0/2026-07-04/snapshot-101500-e1.json",
        "/kept/0/2026-07-04/snapshot-101500-e1.jpg%00.txt",
        "/login.html",
        "/page.js/../login.html",
        "/.%00./",
        "//etc/passwd",
        "/page%2ecss/%2e%2e/%2e%2e/__init__.py",
        "/%c0%ae%c0%ae/etc/passwd",
    ],
)
def test_no_path_leaves_the_page(path: str, page: WebSink) -> None:
    answer = raw(page, request(f"GET {path}"))
    assert answer.split(b" ")[1] in (b"404", b"400")
    for word in (b"root:", b"TOP SECRET", b"import ", b"e1.json", b"<form"):
        assert word not in answer


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "OPTIONS"]
)
@pytest.mark.parametrize("path", ["/", "/snapshot.jpg", "/api/scene", "/metrics", "/healthz", "/kept/x"])
def test_other_methods_do_nothing(method: str, path: str, page: WebSink, untouched: None) -> None:
    asked = request(f"{method} {path}", "X-HTTP-Method-Override: PUT")
    assert raw(page, asked).split(b" ")[1] in (b"405", b"400")


@pytest.mark.parametrize("path", ["stream.mjpg", "live", "events", "snapshot.jpg", "", "metrics"])
def test_head_has_no_body_and_an_end(path: str, page: WebSink) -> None:
    answer = httpx.head(f"{page.url}{path}", headers=bearer())
    assert answer.status_code in (200, 409) and answer.content == b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS to a port without
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    ],
)
def test_what_is_no_request_gets_nothing(data: bytes, page: WebSink) -> None:
    answer = raw(page, data)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"401", b"403")
    assert httpx.get(f"{page.url}metrics", headers=bearer()).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "/%0d%0aSet-Cookie:%20evil=1",
        "/?token=%0d%0aSet-Cookie:%20evil=1",
        "/kept/%0d%0aSet-Cookie:%20evil=1",
        "/events?fps=1%0d%0aSet-Cookie:%20evil=1",
        "/api/events?after=%0d%0aSet-Cookie:%20evil=1",
    ],
)
def test_nothing_sent_becomes_a_header(value: str, page: WebSink) -> None:
    for headers in ({}, bearer()):
        answer = httpx.get(page.url.rstrip("/") + value, headers=headers)
        assert "evil" not in str(answer.headers)
        assert answer.status_code in (303, 400, 401, 404, 200)


def test_a_forwarded_host_is_not_believed(page: WebSink) -> None:
    headers = bearer() | {
        "x-forwarded-host": "evil.example",
        "x-original-url": "/login",
        "x-rewrite-url": "/login",
    }
    answer = httpx.get(page.url, params={"token": TOKEN}, headers=headers)
    assert answer.headers["location"] == "./"


@pytest.mark.parametrize(
    ("value", "statuses"),
    [
        ("bytes=0-0", {206}),
        ("bytes=-1", {206}),
        ("bytes=5-2", {400, 416}),
        ("bytes=99999999-", {416}),
        ("bytes=-0", {400, 416}),
        ("bytes=a-b", {400, 416}),
        ("lines=0-1", {400}),
        ("bytes=" + ",".join(f"{i}-{i + 1}" for i in range(0, 3000, 3)), {200, 206, 400, 416}),
        ("bytes=" + "0-," * 2000, {200, 206, 400, 416}),
        ("bytes=0-99999999999999999999999999", {206}),
    ],
)
def test_ranges_cannot_be_abused(value: str, statuses: set[int], page: WebSink) -> None:
    (event,) = httpx.get(f"{page.url}api/recordings", headers=bearer()).json()["events"]
    url = f"{page.url}{event['snapshot']}"
    whole = httpx.get(url, headers=bearer())
    assert whole.status_code == 200
    answer = httpx.get(url, headers=bearer() | {"range": value})
    assert answer.status_code in statuses
    assert len(answer.content) <= len(whole.content) + 1000


# ---- bodies


@pytest.mark.parametrize("path", ["/login", "/api/settings"])
def test_large_bodies_are_cut_off(path: str, admin: httpx.Client, untouched: None) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"a" * 65536

    secret = admin.get("/api/settings").json()["secret"]
    headers = {"content-type": "application/json", "x-edgecam-secret": secret}
    method = "POST" if path == "/login" else "PUT"
    with contextlib.suppress(httpx.WriteError):  # it may hang up while we are still talking
        assert admin.request(method, path, content=endless(), headers=headers).status_code == 413
    assert admin.get("/api/status").status_code == 200


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"a":' * 50_000, b"\xff" * 100, b'{"version":"v1","zone":[NaN]}', b"1e999999"]
)
def test_hostile_json(body: bytes, admin: httpx.Client, untouched: None) -> None:
    secret = admin.get("/api/settings").json()["secret"]
    headers = {"content-type": "application/json", "x-edgecam-secret": secret}
    assert admin.put("/api/settings", content=body, headers=headers).status_code in (400, 422)


def test_smuggled_requests_are_judged_on_their_own(page: WebSink) -> None:
    """The second of two in one packet has no token, whatever the first had."""
    first = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    second = "GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = raw(page, (first + second).encode())
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 401" in answer


def test_no_websocket_and_no_upgrade(page: WebSink) -> None:
    request = (
        "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer wrong\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )
    assert raw(page, request.encode(), timeout=2).startswith(b"HTTP/1.1 401")


# ---- what a model's author could write


HOSTILE = "</script><img src=x onerror=alert(1)>\n\ndata: {}\r\n\r\nevent: bye\u2028\x1b[31m\x00"


def test_a_label_cannot_leave_its_place_in_events_and_json() -> None:
    with running() as sink, Events(sink) as events:
        packet = Camera().packet()
        sink.push(Packet(packet.frame, packet.result, (HOSTILE,) * 3, packet.status))
        assert {entry["label"] for entry in events.event()["detections"]} == {HOSTILE}
        assert "onerror" not in httpx.get(f"{sink.url}metrics").text
