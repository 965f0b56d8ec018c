"""A web sink fed by hand, and a client that reads its streams piece by piece."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

from edgecam import jpeg
from edgecam.registry import SINKS, load, sink_uri
from edgecam.sinks.base import SinkContext
from edgecam.sinks.web import WebSink
from edgecam.types import Classification, Detections, Frame, Image, Packet, Result, State, Status
from tests.helpers import waiting

LABELS = ("person", "cat", "自転車")
TIMEOUT = 10.0


def picture(value: int, size: tuple[int, int] = (64, 48)) -> Image:
    return np.full((size[1], size[0], 3), value, np.uint8)


def noise(seed: int, size: tuple[int, int] = (640, 480)) -> Image:
    """A picture that JPEG cannot make small."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def detections() -> Detections:
    boxes = np.array([[2, 3, 20, 30], [30, 5, 50, 40], [5, 5, 9, 9]], np.float32)
    scores = np.array([0.9, 0.75, 0.5], np.float32)
    return Detections(boxes, scores, np.array([0, 2, 0], np.int32))


def classes() -> Classification:
    return Classification(np.array([0.8, 0.15], np.float32), np.array([1, 0], np.int32))


class Camera:
    """Makes packets and counts how often one is drawn."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.seq = 0

    def packet(
        self,
        image: Image | None = None,
        *,
        result: Result | None = None,
        state: State = "running",
        message: str = "",
        render: Callable[[Packet], Image] | None = None,
    ) -> Packet:
        frame = Frame(self.seq, picture(self.seq % 256) if image is None else image, source="camera:0")
        status = Status(state=state, message=message, source="camera:0", model="detect", frames=self.seq)
        self.seq += 1
        if result is None and state == "running":
            result = detections()
        return Packet(frame, result, LABELS, status, render or self._draw)

    def _draw(self, packet: Packet) -> Image:
        self.drawn.append(packet.frame.seq)
        return packet.frame.image


@dataclass
class Reports:
    """What the sink told the user."""

    lines: list[str] = field(default_factory=list)

    def context(self) -> SinkContext:
        return SinkContext(True, "camera:0", "detect", LABELS, self.lines.append, lambda reason: None)


def make(uri: str) -> WebSink:
    found = sink_uri(uri)
    sink = load(SINKS, "sink", found.scheme)(found)
    assert isinstance(sink, WebSink)
    return sink


@contextlib.contextmanager
def running(uri: str = "web:?port=0", reports: Reports | None = None) -> Iterator[WebSink]:
    sink = make(uri)
    sink.start((reports or Reports()).context())
    try:
        yield sink
    finally:
        sink.close()


def web_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("edgecam-web")]


class Stream:
    """One open response, read as far as a test asks."""

    def __init__(self, sink: WebSink, path: str, headers: dict[str, str] | None = None) -> None:
        where = urlsplit(sink.url)
        assert where.hostname and where.port
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=TIMEOUT)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()
        self.connection.close()


class Viewer(Stream):
    """A viewer of the MJPEG stream."""

    def __init__(self, sink: WebSink, path: str = "/stream.mjpg") -> None:
        super().__init__(sink, path)
        assert self.response.status == 200
        self.boundary = self.response.readline()
        assert self.boundary == b"--edgecam-frame\r\n"

    def part(self) -> tuple[dict[str, str], bytes]:
        """The next part's headers and its JPEG bytes; the boundary that ends it is read too."""
        headers = {}
        while True:
            line = self.response.readline()
            assert line, "the stream ended"
            if line == b"\r\n":
                break
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        data = self.response.read(int(headers["content-length"]))
        assert self.response.readline() == b"\r\n"
        assert self.response.readline() == self.boundary
        return headers, data

    def value(self) -> int:
        """The grey value of the next picture's middle: the number of a packet's frame."""
        image = jpeg.decode(self.part()[1])
        return round(float(image[image.shape[0] // 2, image.shape[1] // 2].mean()))


class Events(Stream):
    """A listener of the server-sent events."""

    def __init__(self, sink: WebSink, path: str = "/events", headers: dict[str, str] | None = None) -> None:
        super().__init__(sink, path, headers)
        assert self.response.status == 200
        assert self.block()[0] == ": edgecam"

    def block(self) -> list[str]:
        """The lines up to the next empty one; [] at the end."""
        lines = []
        while True:
            line = self.response.readline().decode()
            if line in ("", "\n"):
                return lines
            lines.append(line.rstrip("\n"))

    def event(self) -> dict[str, Any]:
        """The next message, comments skipped."""
        while True:
            lines = self.block()
            assert lines, "the events ended"
            if lines[0].startswith("data: "):
                found = json.loads(lines[0].removeprefix("data: "))
                assert isinstance(found, dict)
                return found

    def step(self) -> tuple[str, dict[str, Any]]:
        """The next step of an event, and its mark; other messages skipped."""
        while True:
            lines = self.block()
            assert lines, "the events ended"
            if lines[0] == "event: event":
                return lines[1].removeprefix("id: "), json.loads(lines[2].removeprefix("data: "))


def until(what: str, probe: Callable[[], object]) -> None:
    """For what a server does once a client has gone, which nothing announces."""
    waiting.until(what, probe, TIMEOUT)


class Book:
    """A settings file in memory. Subclasses say in ``check`` what it does not take."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.saved: list[Any] = []
        self.applied = 0

    def read(self) -> dict[str, Any]:
        return {"zone": [], "line": [], "mask": [], "rule": [], "version": "v1"}

    def check(self, wanted: Any) -> None:
        """Raise ConfigError."""

    def save(self, wanted: Any, version: str) -> None:
        self.check(wanted)
        self.saved.append((wanted, version))

    def apply(self) -> None:
        self.applied += 1


class Pusher:
    """Pushes packets into a sink from a thread of its own, as the pipeline does. Subclasses make them."""

    def __init__(self, sink: WebSink) -> None:
        self._sink = sink
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.04):
            self._sink.push(self.packet())

    def packet(self) -> Packet:
        """The next one."""
        raise NotImplementedError
