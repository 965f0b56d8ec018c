"""Every way in which pixels can leave, with a rule of privacy in force: what is covered is in none of them.

The camera sends JPEG whose left half is red and whose bytes carry a mark. Both are secrets.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from edgecam import build, build_privacy, capture, jpeg, pipeline, registry
from edgecam.config import Settings
from edgecam.overlay import Overlay
from edgecam.sinks.base import Sink, SinkContext
from edgecam.types import Frame, Image, Packet
from tests.sinks.film_support import event
from tests.sinks.webrtc_support import viewing

from .support import redness

MARK = b"\xff\xfe\x00\x12the-raw-secret!!"  # a comment segment; decoders skip it
MASK = "0,0 0.5,0 0.5,1 0,1"
SIZE = (320, 240)


def scene(seq: int) -> Image:
    image = np.full((SIZE[1], SIZE[0], 3), (20, 60, 200), np.uint8)
    image[:, : SIZE[0] // 2] = (230, 20, 20)
    image[:, -20:] = (seq * 7 % 200, 200, 40)
    return image


def blueness(image: Image) -> float:
    """Of the half that is nobody's secret."""
    return float(np.median(image[: SIZE[1] // 2, 180:280, 2]))


def raw_jpeg(seq: int) -> bytes:
    data = jpeg.encode(scene(seq), 90)
    return data[:2] + MARK + data[2:]


def test_the_camera_would_give_it_away() -> None:
    assert MARK in raw_jpeg(0) and redness(jpeg.decode(raw_jpeg(0))) > 0.45


class Camera:
    """A live source of JPEG that ends after so many frames."""

    live, total, broken, name = True, None, 0, "camera:0"

    def __init__(self, frames: int = 40) -> None:
        self._left = self._all = frames

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        if not self._left:
            return None
        self._left -= 1
        time.sleep(0.02)
        seq = self._all - self._left
        return Frame(seq, jpeg=raw_jpeg(seq), size=SIZE, decode=jpeg.decode, source=self.name)

    def close(self) -> None:
        pass


class WithEvents:
    """Lets a packet start and end an event, in front of a sink."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def push(self, packet: Packet) -> None:
        at, seq = packet.frame.moment, packet.frame.seq
        if packet.result is not None and seq % 30 in (5, 15, 25):
            phase = {5: "start", 15: "update", 25: "end"}[seq % 30]
            packet.events = (event(at, phase, f"e-{seq // 30}"),)  # type: ignore[arg-type]
        self._sink.push(packet)


def run(sinks: list[Sink], settings: Settings, during: Callable[[], None] | None = None) -> pipeline.Pipeline:
    """A whole run, its parts made as `edgecam run` makes them."""
    model = build.load_model(settings)
    privacy, face_model = build_privacy.make(settings, model.spec, build.load_model, lambda _: None)
    source = capture.Capture(Camera(40 if during is None else 100_000))
    overlay = Overlay()
    line = pipeline.Pipeline(
        source,
        model,
        [WithEvents(s) for s in sinks],
        render=overlay.draw,
        privacy=privacy,  # type: ignore[misc]
    )
    source.start()

    def look() -> None:
        try:
            assert during is not None
            during()
        finally:
            line.stop("seen")

    helper = threading.Thread(target=look)
    if during is not None:
        helper.start()
    report = line.run()
    if during is not None:
        helper.join(30)
    assert not report.failures and report.frames > 5
    model.engine.close()
    assert privacy is not None and privacy.close()
    if face_model is not None:
        face_model.engine.close()
    return line


def sink(uri: str) -> Any:
    parsed = registry.sink_uri(uri)
    return registry.load(registry.SINKS, "sink", parsed.scheme)(parsed)


def frames_of(path: Path) -> list[Image]:
    """All pictures of a film, a JPEG, or a stream of JPEG."""
    data = path.read_bytes()
    if path.suffix in (".jpg", ".mjpg"):
        return [jpeg.decode(part) for part in re.findall(rb"\xff\xd8\xff.*?\xff\xd9", data, re.DOTALL)]
    film = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    out = []
    while True:
        good, image = film.read()
        if not good:
            return out
        out.append(np.asarray(image[..., ::-1]))


SETTINGS = Settings(engine="fake", mask=(MASK,))


@pytest.fixture
def window_spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Image]]:
    """What the window shows, on SDL's dummy screen."""
    pytest.importorskip("pygame", reason="pygame-ce is not installed: pip install 'edgecam[window]'")
    from edgecam.sinks.window import WindowSink

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    seen: list[Image] = []
    draw = WindowSink._draw

    def spy(self: WindowSink) -> None:
        draw(self)
        import pygame

        seen.append(pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2).copy())

    monkeypatch.setattr(WindowSink, "_draw", spy)
    yield seen


FILES = {
    "record": "record:{folder}/out.mp4?codec=mpeg4",
    "record raw": "record:{folder}/out.mp4?codec=mpeg4&raw=yes",
    "segments": "record:{folder}/s?segment=1s&free=0",
    "segments jpeg": "record:{folder}/s?segment=1s&free=0&codec=jpeg",
    "segments boxes": "record:{folder}/s?segment=1s&free=0&codec=mpeg4&boxes=yes",
    "clips": "clips:{folder}/c?pre=1s&post=0s&free=0",
    "clips jpeg": "clips:{folder}/c?pre=1s&post=0s&free=0&codec=jpeg",
    "snapshots": "snapshots:{folder}/n?free=0",
    "snapshots boxes": "snapshots:{folder}/n?free=0&boxes=yes",
    "jsonl": "jsonl:{folder}/out.jsonl",
}


@pytest.mark.parametrize("way", list(FILES))
def test_files(tmp_path: Path, way: str) -> None:
    run([sink(FILES[way].format(folder=tmp_path))], SETTINGS)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if MARK in path.read_bytes()]
    pictures = [image for path in kept if path.suffix in (".mp4", ".jpg") for image in frames_of(path)]
    assert way == "jsonl" or pictures
    assert [redness(image) for image in pictures if redness(image) > 0.01] == []
    for image in pictures:  # and it is no placard: the other half is as it was
        assert blueness(image) > 150


def test_the_page(tmp_path: Path) -> None:
    web = sink("web:?port=0")
    stream, answers = tmp_path / "stream.mjpg", {}
    paths = ("snapshot.jpg", "snapshot.jpg?raw=1", "snapshot.jpg?raw=yes", "events?fps=5", "api/status")
    paths += ("stream.mjpg?raw=1", "raw.mjpg", "camera.mjpg", "metrics", "api/events")

    def look() -> None:
        while not web.url:
            time.sleep(0.01)
        url = web.url.rstrip("/")
        with httpx.Client(trust_env=False, timeout=10) as client:
            for path in paths:
                with client.stream("GET", f"{url}/{path}") as answer:
                    data = b""
                    for part in answer.iter_bytes():
                        data += part
                        if len(data) > 30_000:
                            break
                answers[path] = data
            with client.stream("GET", f"{url}/stream.mjpg") as answer:
                data = b""
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > 40_000:
                        break
            stream.write_bytes(data)

    run([web], Settings(engine="fake", mask=(MASK,)), look)
    assert b"snapshot" not in answers["snapshot.jpg?raw=1"] and len(answers["snapshot.jpg?raw=1"]) > 500
    for path, data in {**answers, "stream.mjpg": stream.read_bytes()}.items():
        assert MARK not in data, path
        (tmp_path / "x.jpg").write_bytes(data)
        pictures = frames_of(tmp_path / "x.jpg")
        assert pictures or ".jpg" not in path
        assert all(redness(image) < 0.01 for image in pictures), path


def seen_by_webrtc(settings: Settings) -> list[Image]:
    """Pictures that a viewer by WebRTC gets of a whole run."""
    pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'edgecam[webrtc]'")
    web = sink("web:?port=0")
    seen: list[Image] = []

    async def view() -> None:
        async with viewing(web) as viewer:
            seen.extend([await viewer.picture() for _ in range(12)])

    def look() -> None:
        while not web.url:
            time.sleep(0.01)
        asyncio.run(view())

    run([web], settings, look)
    assert len(seen) == 12
    return seen


def test_a_viewer_by_webrtc() -> None:
    seen = seen_by_webrtc(SETTINGS)
    assert all(redness(image) < 0.01 for image in seen)
    assert blueness(seen[-1]) > 150  # and it is no placard


def test_a_viewer_by_webrtc_where_nothing_can_be_covered(tmp_path: Path) -> None:
    seen = seen_by_webrtc(
        Settings(engine="fake", blur=("faces",), face_model=str(tmp_path / "absent.tflite"))
    )
    assert all(redness(image) < 0.01 and blueness(image) < 100 for image in seen)


def test_a_viewer_by_webrtc_sees_red_where_nothing_is_covered(tmp_path: Path) -> None:
    """The other side of the two above; the film shows enough of red to be found."""
    settings = Settings(engine="fake", mask=("0.9,0.9 1,0.9 1,1 0.9,1",))
    assert max(redness(image) for image in seen_by_webrtc(settings)) > 0.3


def test_the_window(window_spy: list[Image]) -> None:
    run([sink("window:")], SETTINGS)
    assert window_spy and all(redness(image) < 0.01 for image in window_spy)


class Spy:
    """A sink of anybody: keeps all it is given."""

    name, dropped, failed = "spy", 0, ""

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def start(self, context: SinkContext) -> None:
        pass

    def push(self, packet: Packet) -> None:
        self.packets.append(packet)

    def close(self) -> None:
        pass


def test_whatever_a_sink_asks_of_a_packet() -> None:
    spy = Spy()
    run([spy], SETTINGS)
    for packet in spy.packets:
        frame = packet.frame
        assert frame.jpeg is None
        for image in (frame.image, frame.pixels(8, 8), packet.picture(), jpeg.decode(jpeg.of(frame))):
            assert redness(image) < 0.01
    assert MARK not in repr([packet.record() for packet in spy.packets]).encode()


def test_a_run_without_its_face_model_gives_results_and_no_picture(tmp_path: Path) -> None:
    """Fail closed: words in place of pictures, in every way out; results go on; the state says why."""
    settings = Settings(engine="fake", blur=("faces",), face_model=str(tmp_path / "absent.tflite"))
    ways = ["record raw", "segments", "clips", "snapshots", "jsonl"]
    spy = Spy()
    line = run([spy, *[sink(FILES[way].format(folder=tmp_path)) for way in ways]], settings)
    pictures = [
        image for path in tmp_path.rglob("*") if path.suffix in (".mp4", ".jpg") for image in frames_of(path)
    ]
    assert len(pictures) > 20
    assert all(redness(image) < 0.01 and blueness(image) < 100 for image in pictures)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and MARK in path.read_bytes()]
    assert "detections" in (tmp_path / "out.jsonl").read_text()
    last = spy.packets[-1]
    assert last.result is not None and last.status.state == "degraded"
    assert last.status.message.startswith("privacy: the face model cannot be used (")
    assert line.impaired["privacy"] == last.status.message


def test_without_a_rule_the_cameras_bytes_go_on() -> None:
    """The other side: else this whole file could pass with nothing shown at all."""
    spy = Spy()
    model = build.load_model(Settings(engine="fake"))
    source = capture.Capture(Camera(5))
    source.start()
    pipeline.Pipeline(source, model, [spy]).run()
    assert all(MARK in (packet.frame.jpeg or b"") for packet in spy.packets)


def test_every_sink_there_is_has_been_looked_at() -> None:
    """A new sink needs a test here, or one of its own (tests/sinks/mqtt/test_private.py), or sends no pixels
    (webhook, exec)."""
    looked_at = {registry.sink_uri(uri.format(folder="/tmp/x")).scheme for uri in FILES.values()}
    assert set(registry.SINKS) - looked_at == {"web", "window", "mqtt", "mqtts", "webhook", "exec"}
