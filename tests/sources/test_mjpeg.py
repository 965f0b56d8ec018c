"""HTTP cameras: MJPEG in all its dialects, snapshots, video; log-in, loss and wrong addresses."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, source_uri
from edgecam.sources import mjpeg as module
from edgecam.sources.mjpeg import HttpSource
from edgecam.sources.synthetic import COLORS, seq_of
from edgecam.types import Frame
from tests.helpers.clips import synthetic_clip
from tests.helpers.http_camera import (
    PASSWORD,
    SCENE,
    USER,
    Handler,
    HttpCamera,
    Request,
    behind_basic,
    behind_digest,
    counting,
    hang,
    mjpeg,
    picture,
)

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


def read(url: str, count: int) -> list[Frame]:
    source = HttpSource(source_uri(url))
    source.open()
    frames = [frame for _ in range(count) if (frame := source.read()) is not None]
    source.close()
    return frames


def error_of(url: str) -> str:
    source = HttpSource(source_uri(url))
    with pytest.raises(SourceError) as error:
        source.open()
    text = str(error.value)
    assert "\n" not in text and PASSWORD not in text and quote(PASSWORD, safe="") not in text
    return text


@pytest.mark.parametrize(
    "route",
    [
        mjpeg(),
        mjpeg(length=False),
        mjpeg(announced="--frame"),
        mjpeg(boundary="-----x.y", announced='"-----x.y"'),
        mjpeg(announced="", length=False),
        mjpeg(newline=b"\n"),
        mjpeg(chunked=True),
        mjpeg(chunked=True, length=False),
    ],
    ids=["plain", "no length", "dashes", "quoted", "no boundary", "bare LF", "chunked", "chunked no length"],
)
def test_every_dialect(route: Handler) -> None:
    with HttpCamera(stream=route) as camera:
        frames = read(camera.url("stream?resolution=640x480&fps=5"), 5)
        assert camera.requests == ["/stream?resolution=640x480&fps=5"]
    assert [frame.jpeg for frame in frames] == [picture(seq) for seq in range(5)]
    assert [(f.seq, seq_of(f.image), f.size) for f in frames] == [(n, n, (320, 240)) for n in range(5)]


def test_colour_order_is_rgb() -> None:
    with HttpCamera(stream=mjpeg(1)) as camera:
        image = read(camera.url("stream"), 1)[0].image
    truth = SCENE.truth(0)
    for (x1, y1, x2, y2), class_id in zip(truth.xyxy.astype(int), truth.class_id, strict=True):
        middle = image[(2 * y1 + 3 * y2) // 5, (x1 + x2) // 2].astype(int)
        assert np.abs(middle - COLORS[class_id]).max() < 25


def test_the_end_of_a_stream_is_a_loss_and_it_comes_back() -> None:
    with HttpCamera(stream=mjpeg(2)) as camera:
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        assert [source.read().seq for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
        with pytest.raises(SourceLostError, match="ended its stream"):
            source.read()
        source.open()
        frame = source.read()
        assert frame is not None and (frame.seq, seq_of(frame.image)) == (2, 0)
        source.close()


def test_a_silent_camera_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    with HttpCamera(stream=mjpeg(1, then=hang)) as camera:
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        assert source.read() is not None
        with pytest.raises(SourceLostError, match="sends nothing any more"):
            source.read()
        source.close()


def test_a_camera_that_talks_but_sends_no_pictures_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)

    def chatter(request: Request) -> None:
        request.start("multipart/x-mixed-replace; boundary=frame")
        while not request.camera.closing.wait(0.02):
            request.send(b"--frame\r\nContent-Type: text/plain\r\n\r\nhello\r\n")

    with HttpCamera(stream=chatter) as camera:
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        with pytest.raises(SourceLostError, match="no JPEG picture"):
            source.read()
        source.close()


def test_closing_from_another_thread_ends_a_read() -> None:
    with HttpCamera(stream=mjpeg(1, then=hang)) as camera:
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        source.read()
        seen: list[SourceLostError] = []

        def wait() -> None:
            try:
                source.read()
            except SourceLostError as error:
                seen.append(error)

        reader = threading.Thread(target=wait)
        reader.start()
        reader.join(0.1)
        assert reader.is_alive()
        source.close()
        reader.join(3)
        assert not reader.is_alive() and "closed" in str(seen[0])


def test_broken_pictures_are_skipped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    def data(seq: int) -> bytes:
        return picture(seq) if seq % 2 else b"this is no picture"

    with HttpCamera(stream=mjpeg(6, data=data, length=False)) as camera, caplog.at_level(logging.WARNING):
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        assert [source.read().seq for _ in range(3)] == [1, 3, 5]  # type: ignore[union-attr]
        source.close()
    assert source.broken == 3
    assert caplog.text.count("skipped") == 1


def test_a_part_without_end_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_JPEG", 100_000)

    def flood(request: Request) -> None:
        request.start("multipart/x-mixed-replace; boundary=frame")
        request.send(b"--frame\r\n\r\n")
        while True:
            request.send(b"x" * 65536)

    with HttpCamera(stream=flood) as camera:
        source = HttpSource(source_uri(camera.url("stream")))
        source.open()
        with pytest.raises(SourceLostError, match="more than 100000 bytes"):
            source.read()
        source.close()


@pytest.mark.parametrize(
    "guard",
    [
        behind_basic,
        behind_digest,
        lambda route: behind_digest(route, "SHA-256"),
        lambda route: behind_digest(route, "", qop=False),
    ],
    ids=["basic", "md5", "sha-256", "without qop"],
)
def test_log_in(guard: object) -> None:
    with HttpCamera(stream=guard(mjpeg(1))) as camera:  # type: ignore[operator]
        frame = read(camera.url("stream?channel=1", LOGIN), 1)[0]
        assert seq_of(frame.image) == 0
        assert PASSWORD not in frame.source and frame.source.startswith("http://***@127.0.0.1")
        assert "wants user and password" in error_of(camera.url("stream"))
        assert "wrong user or password" in error_of(camera.url("stream", "viewer:wrong@"))


def test_redirects_are_followed_with_the_log_in() -> None:
    def away(request: Request) -> None:
        request.answer(302, b"", "text/html", Location="/real?x=1")

    with HttpCamera(stream=away, real=behind_basic(mjpeg(1))) as camera:
        assert len(read(camera.url("stream", LOGIN), 1)) == 1
        assert camera.requests == ["/stream", "/real?x=1", "/real?x=1"]


def test_credentials_do_not_follow_to_another_host() -> None:
    seen: list[str | None] = []

    def spy(request: Request) -> None:
        seen.append(request.headers.get("Authorization"))
        request.answer(401, b"", "text/html", WWW_Authenticate='Basic realm="trap"')

    with HttpCamera(trap=spy) as other:
        target = other.url("trap").replace("127.0.0.1", "localhost")

        def away(request: Request) -> None:
            request.answer(302, b"", "text/html", Location=target)

        with HttpCamera(stream=away) as camera:
            assert "wants user and password" in error_of(camera.url("stream", LOGIN))
    assert seen == [None]


def test_a_loop_of_redirects() -> None:
    def away(request: Request) -> None:
        request.answer(302, b"", "text/html", Location="/stream")

    with HttpCamera(stream=away) as camera:
        assert "in circles" in error_of(camera.url("stream"))


def test_a_single_jpeg_is_asked_for_again_and_again() -> None:
    def snapshot(seq: int) -> Handler:
        return lambda request: request.answer(200, picture(seq), "image/jpeg")

    with HttpCamera(snap__jpg=counting(snapshot)) as camera:
        began = time.monotonic()
        frames = read(camera.url("snap.jpg?fps=50"), 4)
    assert [(f.seq, seq_of(f.image)) for f in frames] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert frames[3].times.captured - began >= 3 / 50


def test_a_snapshot_camera_that_goes_away_is_a_loss() -> None:
    with HttpCamera(snap__jpg=lambda r: r.answer(200, picture(0), "image/jpeg")) as camera:
        source = HttpSource(source_uri(camera.url("snap.jpg?fps=100")))
        source.open()
        assert source.read() is not None
    with pytest.raises(SourceLostError, match="nothing listens"):
        source.read()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_a_video_file_plays_to_its_end(tmp_path: Path, name: str) -> None:
    synthetic_clip(tmp_path / name, frames=6, fps=50)
    body = (tmp_path / name).read_bytes()
    with HttpCamera(clip=behind_basic(lambda r: r.answer(200, body, "video/x"))) as camera:
        source = HttpSource(source_uri(camera.url("clip", LOGIN)))
        source.open()
        frames = list(iter(source.read, None))
        source.close()
    assert [seq_of(f.image) for f in frames] == [0, 1, 2, 3, 4, 5]
    # At the file's own pace, as a live source.
    assert frames[5].times.captured - frames[0].times.captured >= 5 / 50 - 3e-3


def test_wrong_addresses_are_told_apart() -> None:
    with HttpCamera(
        page=lambda r: r.answer(200, b"<html>", "text/html; charset=utf-8"),
        text=lambda r: r.answer(200, b"hello", "text/plain"),
        secret=lambda r: r.answer(403, b"", "text/html"),
        busy=lambda r: r.answer(503, b"", "text/html"),
    ) as camera:
        assert "is no stream but text/html" in error_of(camera.url("page"))
        assert "FFmpeg cannot read" in error_of(camera.url("text"))
        assert "forbids /secret" in error_of(camera.url("secret"))
        assert "answers 503 Service Unavailable" in error_of(camera.url("busy"))
        assert "has no stream /no" in error_of(camera.url("no"))
    assert f"nothing listens at 127.0.0.1:{camera.port}" in error_of(camera.url("stream"))
    assert "no host is called 'no.such.host.invalid'" in error_of("http://no.such.host.invalid/stream")


def test_something_that_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            peer.sendall(b"220 mail.example ESMTP\r\n")
            peer.recv(1000)
            peer.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        assert "speaks no HTTP" in error_of(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(5)


def test_a_camera_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert "does not answer within 0.2 s" in error_of(url)


def test_https_to_a_camera_that_speaks_none() -> None:
    with HttpCamera(stream=mjpeg()) as camera:
        assert "speaks no TLS: try http://" in error_of(camera.url("stream").replace("http:", "https:"))


def test_a_certificate_that_the_camera_signed_itself(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed: apt install openssl")
    make = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=camera"
    subprocess.run([openssl, *make.split()], cwd=tmp_path, check=True, capture_output=True)
    with HttpCamera(stream=mjpeg(1)) as camera:
        camera.secure(tmp_path / "cert.pem", tmp_path / "key.pem")
        url = camera.url("stream").replace("http:", "https:")
        assert "not trusted (self-signed certificate)" in error_of(url)
        assert len(read(url + "?tls_verify=no&x=1", 1)) == 1
        assert camera.requests == ["/stream?x=1"]


def test_usage() -> None:
    for text, says in (
        ("http:///stream", "names no host"),
        ("http://camera:99999/", "port"),
        ("https://camera/?tls_verify=maybe", "tls_verify"),
    ):
        with pytest.raises(UsageError, match="(?i)" + says):
            HttpSource(source_uri(text))


def test_registered() -> None:
    assert load(SOURCES, "source", "http") is HttpSource is load(SOURCES, "source", "https")
