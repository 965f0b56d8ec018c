"""Clients that stand in the way: half open, slow, many. All are put out, and those who ask are served."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edgecam import accounts
from edgecam.sinks.web import WebSink, body, door, signin
from edgecam.sinks.web.door import Door
from edgecam.sinks.web.limiter import Limiter
from tests.security.support import ANNA, bearer, place, users_file
from tests.sinks.web_support import Camera, Reports, Viewer, make, running, until

PATIENCE = 0.5


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of patience in place of ten."""
    monkeypatch.setattr(Door.__init__, "__defaults__", (door.MOST, door.EACH, PATIENCE))


def closed(sock: socket.socket) -> bool:
    sock.settimeout(10)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /",  # the second one never comes
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nxxx",
    ],
)
def test_who_does_not_finish_a_request_is_put_out(beginning: bytes) -> None:
    with running() as sink, socket.create_connection(place(sink)) as sock:
        sock.sendall(beginning)
        # A byte now and then buys no time.
        drip = threading.Event()

        def dripping() -> None:
            with contextlib.suppress(OSError):
                while not drip.wait(PATIENCE / 5):
                    sock.sendall(b"x")

        thread = threading.Thread(target=dripping)
        thread.start()
        try:
            assert closed(sock)
        finally:
            drip.set()
            thread.join()


@pytest.mark.usefixtures("hasty")
def test_a_handshake_that_never_ends_is_cut(tmp_path: Path) -> None:
    with running("web:?port=0&tls=yes") as sink, socket.create_connection(place(sink)) as sock:
        sock.sendall(b"\x16\x03\x01")
        assert closed(sock)
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(place(sink)) as other, insecure.wrap_socket(other) as tls:
            tls.sendall(b"GET")
            assert closed(tls)


def test_a_slow_body_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body.read_body, "__defaults__", (PATIENCE,))
    sink = make(f"web:?port=0&users={users_file(tmp_path)}")
    with running_made(sink), socket.create_connection(place(sink), 10) as sock:
        sock.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nname=a")
        assert sock.recv(1000).startswith(b"HTTP/1.1 408")


@contextlib.contextmanager
def running_made(sink: WebSink) -> Iterator[WebSink]:
    sink.start(Reports().context())
    try:
        yield sink
    finally:
        sink.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_200_half_open_clients_keep_nobody_out() -> None:
    """Nobody waits for their time to be up: the oldest that asks for nothing makes room."""
    with running() as sink, contextlib.ExitStack() as stack:
        camera = Camera()
        sink.push(camera.packet())
        before = open_files()
        with Viewer(sink) as viewer:
            viewer.part()
            crowd = [stack.enter_context(socket.create_connection(place(sink))) for _ in range(200)]
            for sock in crowd:
                with contextlib.suppress(OSError):
                    sock.sendall(b"GET / HTTP/1.1\r\n")
            # Their own ends are in this process, too; ours are bounded.
            until("most are put out", lambda: open_files() - before - len(crowd) <= door.EACH + 2)
            for _ in range(10):
                assert httpx.get(f"{sink.url}healthz").status_code in (200, 503)
            sink.push(camera.packet())
            viewer.part()
        stack.close()
        until("all are gone", lambda: open_files() <= before)


def test_who_watches_is_not_put_out_for_a_newcomer() -> None:
    with running() as sink, contextlib.ExitStack() as stack:
        camera = Camera()
        sink.push(camera.packet())
        viewers = [stack.enter_context(Viewer(sink)) for _ in range(door.EACH)]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{sink.url}healthz", timeout=5)
        sink.push(camera.packet())
        for viewer in viewers:
            viewer.part()
        viewers.pop().close()

        def served() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{sink.url}healthz").status_code in (200, 503)
            return False

        until("a place is free again", served)


def test_how_many_may_watch_is_the_owners_word() -> None:
    with running("web:?port=0&connections=100") as sink, contextlib.ExitStack() as stack:
        sink.push(Camera().packet())
        viewers = [stack.enter_context(Viewer(sink)) for _ in range(50)]  # of one address: half of them
        for viewer in viewers:
            viewer.part()
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{sink.url}healthz", timeout=5)


def test_passwords_are_hashed_one_at_a_time_and_few_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty sign-ins at once from many addresses: a bounded number is hashed, the rest hears 429 at once."""

    monkeypatch.setattr(Limiter, "take", lambda limiter, address: 0.0)
    inside, most = 0, 0
    right = accounts.right_password
    hold = threading.Event()

    def counted(password: str, stored: str) -> bool:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        hold.wait(10)
        inside -= 1
        return right(password, stored)

    monkeypatch.setattr(accounts, "right_password", counted)
    sink = make(f"web:?port=0&users={users_file(tmp_path)}")

    async def crowd() -> list[int]:
        async with httpx.AsyncClient(timeout=20) as client:
            asked = [asyncio.create_task(client.post(f"{sink.url}login", data=ANNA)) for _ in range(30)]
            done: set[asyncio.Task[httpx.Response]] = set()
            while len(done) < 30 - signin._QUEUE:
                done, _ = await asyncio.wait(asked, timeout=0.05)
            hold.set()
            return [(await task).status_code for task in asked]

    with running_made(sink):
        statuses = asyncio.run(crowd())
        assert sorted(statuses) == [303] * signin._QUEUE + [429] * (30 - signin._QUEUE)
        assert most == 1
        assert httpx.get(f"{sink.url}metrics", headers=bearer()).status_code == 200
