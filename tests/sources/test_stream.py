"""RTSP cameras, against GStreamer's server: pictures, log-in, loss of every kind, wrong addresses."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, source_uri
from edgecam.sources import rtsp, stream
from edgecam.sources.network import address
from edgecam.sources.stream import Lag, StreamSource
from tests.helpers.rtsp import RtspServer

# The SMPTE bars from the left: which of red, green and blue are on.
BARS = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)]


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as running:
        yield running


def error_of(url: str) -> str:
    with pytest.raises(SourceError) as error:
        StreamSource(source_uri(url)).open()
    text = str(error.value)
    assert "\n" not in text and "secret" not in text
    return text


def read_until_lost(source: StreamSource, within: float) -> SourceLostError:
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        try:
            source.read()
        except SourceLostError as error:
            return error
    raise AssertionError(f"not lost within {within} s")


def reopen(source: StreamSource, within: float) -> None:
    give_up = time.monotonic() + within
    pause = threading.Event()
    while True:
        try:
            source.open()
            return
        except SourceError:
            assert time.monotonic() < give_up, "did not come back"
            pause.wait(0.2)


@pytest.mark.rtsp
def test_pictures_in_rgb(server: RtspServer) -> None:
    source = StreamSource(source_uri(server.url() + "?transport=tcp"))
    source.open()
    frames = [source.read() for _ in range(10)]
    source.close()
    assert (source.live, source.total) == (True, None)
    assert [f.seq for f in frames if f] == list(range(10))
    frame = frames[-1]
    assert frame is not None and frame.size == (320, 240) and frame.media_time is None
    for n, color in enumerate(BARS):
        seen = frame.image[60, round((n + 0.5) * 320 / 7)].astype(int)
        on, off = seen[np.array(color) == 1], seen[np.array(color) == 0]
        assert on.min() > 140 and off.max(initial=0) < 70, (n, seen, color)


@pytest.mark.rtsp
@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_log_in(digest: bool, caplog: pytest.LogCaptureFixture) -> None:
    with RtspServer("viewer", "secret", digest) as server, caplog.at_level(logging.DEBUG):
        source = StreamSource(source_uri(server.url("viewer:secret@")))
        source.open()
        frame = source.read()
        source.close()
        assert frame is not None and "secret" not in frame.source + source.name + caplog.text
        assert "wants user and password" in error_of(server.url())
        assert "wrong user or password" in error_of(server.url("viewer:secret2@"))


@pytest.mark.rtsp
def test_killed_and_started_again(server: RtspServer) -> None:
    source = StreamSource(source_uri(server.url()))
    source.open()
    assert source.read() is not None
    server.kill()
    assert "ended its stream" in str(read_until_lost(source, 10))
    assert "nothing listens" in error_of(server.url())
    server.start()
    reopen(source, 20)
    frame = source.read()
    assert frame is not None and frame.seq > 0
    source.close()


@pytest.mark.rtsp
def test_frozen_and_thawed(server: RtspServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's process is stopped: its sockets stay open and silent, as with a cable pulled out."""
    monkeypatch.setattr(stream, "OPEN_S", 1.0)
    monkeypatch.setattr(stream, "READ_S", 1.0)
    source = StreamSource(source_uri(server.url()))
    source.open()
    assert source.read() is not None
    server.freeze()
    # One time-out, or one and a half where a key frame was waited for; without limits it would be 30 s.
    assert "sends nothing any more" in str(read_until_lost(source, 10))
    assert "does not answer within 1 s" in error_of(server.url())
    server.thaw()
    reopen(source, 20)
    assert source.read() is not None
    source.close()


@pytest.mark.rtsp
def test_closing_from_another_thread(server: RtspServer) -> None:
    source = StreamSource(source_uri(server.url()))
    source.open()
    reading, seen = threading.Event(), []

    def read() -> None:
        try:
            while source.read() is not None:
                reading.set()
        except SourceLostError as error:
            seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(10)
    source.close()
    reader.join(10)
    assert not reader.is_alive() and len(seen) == 1


@pytest.mark.rtsp
def test_no_such_stream(server: RtspServer) -> None:
    assert "has no stream /other?a=1" in error_of(server.url(path="other?transport=tcp&a=1"))


def test_nothing_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert f"nothing listens at 127.0.0.1:{port}" in error_of(f"rtsp://viewer:secret@127.0.0.1:{port}/cam")
    assert "no host is called" in error_of("rtsp://no.such.host.invalid/cam")


class Script:
    """A server that answers each request with the next of some texts, and keeps the requests."""

    def __init__(self, *answers: str) -> None:
        self.requests: list[str] = []
        self._answers = answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for answer in self._answers:
            peer, _ = self._server.accept()
            with peer:
                self.requests.append(peer.recv(10_000).decode())
                peer.sendall(answer.encode())

    def __enter__(self) -> Script:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.close()
        self._thread.join(5)


def test_describe_keeps_the_cameras_parameters_and_hides_the_password() -> None:
    """Each answer comes on a connection of its own: some cameras close after a 401."""
    challenge = (
        'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n\r\n'
    )
    with Script(challenge, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n") as camera:
        uri = source_uri(f"rtsp://viewer:secret@127.0.0.1:{camera.port}/live?transport=udp&ch=1&sub=0")
        to = address(uri, frozenset({"transport"}))
        assert to.url.endswith("/live?ch=1&sub=0") and "viewer:secret@" in to.url
        rtsp.describe(to, 5)
        first, second = camera.requests
    bare = f"rtsp://127.0.0.1:{camera.port}/live?ch=1&sub=0"
    assert first.startswith(f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\n")
    assert f'uri="{bare}"' in second and 'username="viewer"' in second and "secret" not in first + second


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no RTSP"),
        ("", "speaks no RTSP"),
        ("RTSP/1.0 404 Not Found\r\n\r\n", "has no stream /cam"),
        ("RTSP/1.0 503 Service Unavailable\r\n\r\n", "answers 503 Service Unavailable"),
    ],
)
def test_what_the_camera_answers_is_told(answer: str, says: str) -> None:
    with Script(answer) as camera, pytest.raises(SourceError, match=says):
        rtsp.describe(address(source_uri(f"rtsp://127.0.0.1:{camera.port}/cam")), 5)


def test_a_lag_that_grows_is_noticed_once() -> None:
    lag, told = Lag(), []
    for n in range(600):  # a minute at 10 frames a second, each taking 5 ms longer than there is time for
        told += [n] * lag.grows(100 + 0.005 * n, n / 10)
    assert told == [400]


def test_clocks_that_drift_apart_are_no_lag() -> None:
    lag = Lag()
    # A day at one frame a second, 100 parts in a million; each fifth frame half a second late.
    assert not any(lag.grows(n * 1e-4 + (n % 5 == 0) / 2, float(n)) for n in range(86_400))


def test_usage() -> None:
    for text, says in (
        ("rtsp:///cam", "names no host"),
        ("rtsp://cam/x?transport=pigeon", "option transport='pigeon': expected one of tcp, udp"),
        ("rtsp://cam/x?threads=many", "option threads='many': expected a whole number"),
    ):
        with pytest.raises(UsageError, match=says):
            StreamSource(source_uri(text))


def test_registered() -> None:
    assert load(SOURCES, "source", "rtsp") is StreamSource is load(SOURCES, "source", "rtsps")
