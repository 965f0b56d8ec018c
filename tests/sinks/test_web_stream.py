"""One encode for all viewers, none without viewers, and nobody waits for a slow one."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from edgecam import jpeg
from edgecam.sinks.web import WebSink, streams
from edgecam.types import Frame, Image, Packet
from tests.sinks.web_support import TIMEOUT, Camera, Events, Stream, Viewer, noise, picture, running, until


def status(sink: WebSink) -> dict[str, object]:
    found = httpx.get(f"{sink.url}api/status").json()
    assert isinstance(found, dict)
    return found


def test_one_encode_serves_all_viewers() -> None:
    camera = Camera()
    with running() as sink:
        sink.push(camera.packet())
        viewers = [Viewer(sink) for _ in range(4)]
        assert [viewer.value() for viewer in viewers] == [0] * 4
        for number in range(1, 6):
            sink.push(camera.packet())
            parts = [viewer.part()[1] for viewer in viewers]
            assert len(set(parts)) == 1
            assert jpeg.decode(parts[0])[24, 32] == pytest.approx([number] * 3, abs=2)
        assert camera.drawn == [0, 1, 2, 3, 4, 5]
        assert status(sink)["encoded"] == 6
        for viewer in viewers:
            viewer.close()


def test_nothing_is_drawn_or_encoded_without_a_viewer() -> None:
    camera = Camera()
    with running() as sink:
        with Events(sink) as events:
            for number in range(20):
                sink.push(camera.packet())
                assert events.event()["seq"] == number  # the packet has gone all the way through
        assert camera.drawn == []
        assert status(sink)["encoded"] == 0
        assert httpx.get(f"{sink.url}snapshot.jpg").status_code == 200
        assert camera.drawn == [19]


def test_encoding_ends_with_the_last_viewer() -> None:
    camera = Camera()
    with running() as sink:
        sink.push(camera.packet())
        with Viewer(sink) as viewer:
            viewer.part()
        until("the viewer has gone", lambda: status(sink)["viewers"] == 0)
        drawn = list(camera.drawn)
        with Events(sink) as events:
            for _ in range(10):
                sink.push(camera.packet())
                events.event()
        assert camera.drawn == drawn


def test_a_newcomer_sees_the_placard_of_a_lost_camera_at_once() -> None:
    camera = Camera()
    with running() as sink:
        sink.push(camera.packet())
        sink.push(camera.packet(picture(200), state="waiting", message="unplugged"))
        for _ in range(2):  # the second newcomer too, although nothing new came
            with Viewer(sink) as viewer:
                assert viewer.value() == pytest.approx(200, abs=2)
        assert camera.drawn == [1]


def test_a_part_says_how_long_it_is_and_when_it_was_taken() -> None:
    camera = Camera()
    with running() as sink, Viewer(sink) as viewer:
        assert viewer.response.headers["content-type"] == "multipart/x-mixed-replace; boundary=edgecam-frame"
        assert viewer.response.headers["cache-control"] == "no-store"
        packet = camera.packet()
        sink.push(packet)
        headers, data = viewer.part()
        assert headers["content-type"] == "image/jpeg"
        assert data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
        assert float(headers["x-timestamp"]) == pytest.approx(packet.frame.wall, abs=1e-5)
        sink.push(camera.packet())
        viewer.part()
        assert packet.frame.times.sent >= packet.frame.times.drawn > 0


def test_quality_is_the_users() -> None:
    sizes = []
    for quality in (20, 95):
        with running(f"web:?port=0&quality={quality}") as sink:
            sink.push(Camera().packet(noise(1)))
            sizes.append(len(httpx.get(f"{sink.url}snapshot.jpg").content))
    assert sizes[1] > 2 * sizes[0]


def test_a_viewer_that_never_reads_slows_nobody() -> None:
    """The fast viewer gets every picture; the stuck one costs nothing, and then gets the newest."""
    camera = Camera()
    rounds = 60
    with running("web:?port=0&fps=1000") as sink:
        where = urlsplit(sink.url)
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.settimeout(TIMEOUT)
        stuck.connect((where.hostname, where.port))
        stuck.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        sink.push(camera.packet(noise(0)))
        with Viewer(sink) as fast:
            fast.part()
            until("both watch", lambda: status(sink)["viewers"] == 2)
            for number in range(1, rounds):
                packet = camera.packet(noise(number % 3))
                sink.push(packet)
                assert float(fast.part()[0]["x-timestamp"]) == pytest.approx(packet.frame.wall, abs=1e-5)
        assert len(camera.drawn) == rounds
        last = camera.packet(picture(77))
        sink.push(last)
        received = _read_until(stuck, f"X-Timestamp: {last.frame.wall:.6f}".encode())
        # Even the kernel's buffers held hardly a stale picture (without TCP_NOTSENT_LOWAT they hold a dozen).
        assert 1 <= received <= 5
        until("the skipped pictures are counted", lambda: status(sink)["dropped"] == rounds - received)
        sink.push(camera.packet())
        assert sink.dropped == rounds - received
        stuck.close()


def _read_until(sock: socket.socket, mark: bytes) -> int:
    """Read up to a mark; how many earlier pictures came before it."""
    data = b""
    while mark not in data:
        chunk = sock.recv(65536)
        assert chunk
        data += chunk
    return data.count(b"X-Timestamp:") - 1


def test_a_picture_that_cannot_be_drawn_is_skipped() -> None:
    camera = Camera()

    def broken(packet: Packet) -> Image:
        raise ValueError("no pixels")

    with running() as sink, Viewer(sink) as viewer:
        sink.push(camera.packet())
        assert viewer.value() == pytest.approx(0, abs=2)
        sink.push(camera.packet(render=broken))
        with Events(sink) as events:
            assert events.event()["seq"] == 1
        sink.push(camera.packet(picture(90)))
        assert viewer.value() == pytest.approx(90, abs=2)


def test_pictures_are_encoded_no_faster_than_asked() -> None:
    camera = Camera()
    with running("web:?port=0&fps=0.1") as sink, Viewer(sink) as viewer, Events(sink) as events:
        for number in range(2):  # one may come an interval early
            sink.push(camera.packet())
            assert viewer.value() == pytest.approx(number, abs=2)
            events.event()
        for _ in range(10):
            sink.push(camera.packet())
            events.event()
        assert camera.drawn == [0, 1]


def test_a_silent_stream_repeats_its_picture_without_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "REPEAT", 0.02)
    camera = Camera()
    with running() as sink, Viewer(sink) as viewer:
        sink.push(camera.packet())
        first = viewer.part()
        assert [viewer.part() for _ in range(3)] == [first] * 3
        assert camera.drawn == [0]


def test_viewers_that_go_leave_nothing_behind() -> None:
    camera = Camera()
    threads = threading.active_count()
    with running() as sink:
        sink.push(camera.packet())
        for _ in range(5):
            viewers: list[Stream] = [Viewer(sink), Viewer(sink), Events(sink), Events(sink)]
            for viewer in viewers:
                viewer.close()
        until("they have gone", lambda: _gone(sink))
        for _ in range(5):
            with Viewer(sink) as viewer:
                viewer.part()
        until("they have gone", lambda: _gone(sink))
    assert threading.active_count() == threads


def _gone(sink: WebSink) -> bool:
    found = status(sink)
    return found["viewers"] == 0 and found["listeners"] == 0


def test_snapshot_is_annotated_and_raw_is_not() -> None:
    camera = Camera()

    def draw(packet: Packet) -> Image:
        return picture(250)

    with running() as sink:
        packet = camera.packet(picture(10), render=draw)
        sink.push(packet)
        answer = httpx.get(f"{sink.url}snapshot.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        assert 'filename="edgecam-2' in answer.headers["content-disposition"]
        assert jpeg.decode(answer.content).mean() == pytest.approx(250, abs=2)
        raw = httpx.get(f"{sink.url}snapshot.jpg?raw=1")
        assert jpeg.decode(raw.content).mean() == pytest.approx(10, abs=2)


def test_raw_snapshot_hands_out_the_cameras_own_jpeg() -> None:
    data = jpeg.encode(picture(60), 90)
    frame = Frame(0, jpeg=data, size=(64, 48), decode=jpeg.decode)
    camera = Camera()
    with running() as sink:
        sink.push(Packet(frame, None, (), camera.packet().status))
        assert httpx.get(f"{sink.url}snapshot.jpg?raw").content == data


def test_snapshot_says_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SNAPSHOT_WAIT", 0.05)
    with running() as sink:
        for path in ("snapshot.jpg", "snapshot.jpg?raw=1"):
            answer = httpx.get(sink.url + path)
            assert answer.status_code == 503
            assert answer.json() == {"error": "no picture yet"}
            assert answer.headers["retry-after"] == "1"


def test_snapshot_waits_for_the_first_picture() -> None:
    with running() as sink, Stream(sink, "/healthz") as ready:
        assert ready.response.status == 503
        answers = []

        def ask() -> None:
            answers.append(httpx.get(f"{sink.url}snapshot.jpg"))

        asking = threading.Thread(target=ask)
        asking.start()
        sink.push(Camera().packet())
        asking.join(TIMEOUT)
        assert answers[0].status_code == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_clients_get_the_stream_as_it_is_and_new_ones_in_chunks(version: str) -> None:
    with running() as sink:
        sink.push(Camera().packet())
        where = urlsplit(sink.url)
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT) as client:
            client.sendall(f"GET /stream.mjpg HTTP/{version}\r\nHost: {where.netloc}\r\n\r\n".encode())
            data = b""
            while data.count(b"--edgecam-frame\r\n") < 2:
                got = client.recv(65536)
                assert got, data
                data += got
        head, _, body = data.partition(b"\r\n\r\n")
        boundary = b"--edgecam-frame\r\n"
        assert (b"transfer-encoding: chunked" in head.lower()) is (version == "1.1")
        assert body.startswith(boundary if version == "1.0" else b"11\r\n" + boundary + b"\r\n")
