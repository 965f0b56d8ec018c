"""Segments, listed and given out by the page's server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edgecam import build, build_ends, capture, pipeline
from edgecam.config import Settings
from edgecam.mp4 import Mp4Writer, Track
from edgecam.registry import parse_uri, sink_uri
from edgecam.sinks.base import Recorder, Sink, SinkContext
from edgecam.sinks.segments import SegmentsSink
from edgecam.sinks.web import WebSink
from edgecam.sinks.web.films import Films
from tests.sinks.film_support import WALL, camera
from tests.sinks.support import Listener
from tests.sinks.test_web_page_api import context
from tests.sinks.web_support import Stream, make


def film(path: Path, began: float = WALL, seconds: float = 2.0) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=0) as file:
        writer = Mp4Writer(file, Track("jpeg", 64, 48), began)
        for at in (0.0, seconds / 2):
            writer.add(at, True, b"picture")
        writer.close()
    return path.read_bytes()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[WebSink, Path]]:
    folder = tmp_path / "kept"
    day = folder / "2026-11-25"
    film(day / "segment-140000.mp4", WALL)
    film(day / "segment-140000.1.mp4", WALL + 3600)
    film(day / "segment-140500.mp4", WALL + 300)
    film(folder / "2026-11-24" / "segment-235900.mp4", WALL - 86400)
    (folder / "2026-11-23").mkdir()
    (day / ".segment-141000.mp4.part").write_bytes(b"open")
    (day / "segment-150000.mp4").write_bytes(b"no film")
    (day / "clip-140000-door.mp4").write_bytes(b"clip")
    (day / "segment-x.mp4").write_bytes(b"mine")
    film(tmp_path / "secret.mp4")
    (day / "segment-160000.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "2026-11-22").symlink_to(tmp_path)
    sink = make("web:?port=0")
    sink.start(context(films=(folder, tmp_path / "absent")))
    yield sink, day
    sink.close()


def test_a_days_segments_are_listed_and_given_out(kept: tuple[WebSink, Path]) -> None:
    sink, day = kept
    found = httpx.get(f"{sink.url}api/segments").json()
    assert (found["kept"], found["day"]) == (True, "2026-11-25")
    assert found["days"] == ["2026-11-25", "2026-11-24"]
    at = "kept/segments/0/2026-11-25/segment-"
    assert [(s["file"], s["start"] - WALL) for s in found["segments"]] == [
        (f"{at}140500.mp4", 300),
        (f"{at}140000.mp4", 0),
        (f"{at}140000.1.mp4", 3600),
    ]
    first = found["segments"][0]
    data = (day / "segment-140500.mp4").read_bytes()
    assert first["type"] == 'video/mp4; codecs="mp4v.6c"'
    assert (first["seconds"], first["bytes"]) == (2.0, len(data))
    answer = httpx.get(sink.url + first["file"])
    assert (answer.content, answer.headers["content-type"]) == (data, "video/mp4")
    part = httpx.get(sink.url + first["file"], headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    older = httpx.get(f"{sink.url}api/segments?day=2026-11-24").json()
    assert [s["file"] for s in older["segments"]] == ["kept/segments/0/2026-11-24/segment-235900.mp4"]
    assert len(httpx.get(f"{sink.url}api/segments?limit=1").json()["segments"]) == 1
    assert httpx.get(f"{sink.url}api/segments?day=../..").json()["segments"] == []
    assert httpx.get(f"{sink.url}api/segments?limit=2001").status_code == 400


@pytest.mark.parametrize(
    "key",
    [
        "segments/0/2026-11-25/segment-160000.mp4",  # a link
        "segments/0/2026-11-25/segment-x.mp4",
        "segments/0/2026-11-25/.segment-141000.mp4.part",
        "segments/0/2026-11-25/clip-140000-door.mp4",
        "segments/1/2026-11-25/segment-140000.mp4",
        "segments/0/2026-11-22/secret.mp4",
        "segments/0/2026-11-25/../../secret.mp4",
        "segments/0/2026-11-25/%2e%2e/%2e%2e/secret.mp4",
        "0/2026-11-25/segment-140000.mp4",
        "segments//etc/passwd",
        "segments/0/2026-11-25/segment-140000.mp4%00",
    ],
)
def test_nothing_else_is_given_out(key: str, kept: tuple[WebSink, Path]) -> None:
    with Stream(kept[0], f"/kept/{key}") as stream:
        assert stream.response.status == 404


def test_what_comes_and_goes_is_seen(tmp_path: Path) -> None:
    """Also in a folder whose listing is remembered, and right after a look."""
    day = tmp_path / "2026-11-25"
    film(day / "segment-140000.mp4")
    os.utime(day, (time.time() - 60,) * 2)
    films = Films((tmp_path,))
    for minute in range(5):
        assert len(films.of("2026-11-25", 9)) == minute + 1
        film(day / f"segment-14{minute:02}30.mp4")
    (day / "segment-140000.mp4").unlink()
    assert len(films.of("2026-11-25", 9)) == 5
    assert films.file("segments/0/2026-11-25/segment-140000.mp4") is None


def test_what_the_sink_writes_is_found(tmp_path: Path) -> None:
    sink = SegmentsSink(sink_uri(f"record:{tmp_path}/"))
    assert isinstance(sink, Recorder) and sink.films == tmp_path
    sink.start(Listener().context(live=False))
    for i in range(20):
        sink.push(camera(100 + i / 10))
    sink.close()
    films = Films((sink.films,))
    (day,) = films.days()
    (found,) = films.of(day, 9)
    assert found["start"] == int(WALL + 100)
    assert found["seconds"] == pytest.approx(2.0)
    path = films.file(found["file"].removeprefix("kept/"))
    assert path is not None and path.stat().st_size == found["bytes"]


def test_the_run_tells_the_page_where_segments_are(tmp_path: Path) -> None:
    seen: list[SinkContext] = []

    class Page(WebSink):
        def start(self, context: SinkContext) -> None:
            seen.append(context)
            super().start(context)

    model = build.load_model(Settings(engine="fake"))
    source = build_ends.make_source(parse_uri("synthetic:?frames=3&live=no"))
    sinks: list[Sink] = [SegmentsSink(sink_uri(f"record:{tmp_path}/")), Page(sink_uri("web:?port=0"))]
    taken = capture.Capture(source)
    taken.start()
    pipeline.Pipeline(taken, model, sinks).run()
    model.engine.close()
    assert [(context.films, context.folders) for context in seen] == [((tmp_path,), ())]
