"""The best picture of each event."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgecam import jpeg
from edgecam.errors import FrameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks import snapshots as module
from edgecam.sinks.snapshots import SnapshotsSink
from edgecam.types import Packet

from .film_support import camera, event, files, kept_jpeg, shade
from .support import Listener


def run(uri: str, packets: list[Packet]) -> SnapshotsSink:
    sink = SnapshotsSink(parse_uri(uri))
    sink.start(Listener().context(live=False))
    for packet in packets:
        sink.push(packet)
    sink.close()
    assert not sink.failed and not sink.trouble
    return sink


def test_the_best_one_replaces_the_first_at_the_end(tmp_path: Path) -> None:
    packets = [
        camera(1, kept_jpeg(10), events=(event(1, "start"),)),
        camera(2, kept_jpeg(20), events=(event(2, "update"),)),
        camera(3, kept_jpeg(30), events=(event(3, "update", improved=False),)),
        camera(4, kept_jpeg(40), events=(event(4, "end", improved=False),)),
    ]
    run(f"snapshots:{tmp_path}", packets)
    picture, about = files(tmp_path)
    assert picture.name.endswith("-door.jpg") and about.stem == picture.stem
    assert picture.read_bytes() == kept_jpeg(20)  # the camera's own bytes
    found = json.loads(about.read_text())
    assert found["file"] == picture.name and found["event"]["phase"] == "end"


def test_a_run_that_is_killed_has_the_first_one(tmp_path: Path) -> None:
    sink = SnapshotsSink(parse_uri(f"snapshots:{tmp_path}"))
    sink.start(Listener().context(live=False))
    sink.push(camera(1, kept_jpeg(10), events=(event(1, "start"),)))
    sink.push(camera(2, kept_jpeg(20), events=(event(2, "update"),)))
    sink.close()  # never told the end
    picture, about = files(tmp_path)
    assert (
        picture.read_bytes() == kept_jpeg(10) and json.loads(about.read_text())["event"]["phase"] == "start"
    )


def test_events_at_once_each_have_theirs(tmp_path: Path) -> None:
    both = event(1, "start", "a"), event(1, "start", "b", "gate")
    ends = event(2, "end", "a", improved=False), event(2, "end", "b", "gate", improved=False)
    run(f"snapshots:{tmp_path}?rules=gate, door", [camera(1, events=both), camera(2, events=ends)])
    assert len(files(tmp_path, "*.jpg")) == 2
    run(f"snapshots:{tmp_path}/few?rules=gate", [camera(1, events=both), camera(2, events=ends)])
    assert [path.name[-9:] for path in files(tmp_path / "few", "*.jpg")] == ["-gate.jpg"]


def test_with_boxes_or_from_pixels_it_is_coded(tmp_path: Path) -> None:
    run(f"snapshots:{tmp_path}", [camera(1, image=shade(200), events=(event(1, "start"),))])
    (path,) = files(tmp_path, "*.jpg")
    assert np.median(jpeg.decode(path.read_bytes())) == pytest.approx(200, abs=3)
    plain = camera(1, image=shade(10), events=(event(1, "start"),))
    drawn = Packet(plain.frame, plain.result, [], plain.status, lambda _: shade(250), events=plain.events)
    run(f"snapshots:{tmp_path}/drawn?boxes=yes", [drawn])
    (path,) = files(tmp_path / "drawn", "*.jpg")
    assert np.median(jpeg.decode(path.read_bytes())) == pytest.approx(250, abs=3)


def test_memory_is_bounded_by_writing_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMORY", 100)
    better = camera(2, kept_jpeg(20), events=(event(2, "update"),))
    run(f"snapshots:{tmp_path}", [camera(1, kept_jpeg(10), events=(event(1, "start"),)), better])
    (path,) = files(tmp_path, "*.jpg")
    assert path.read_bytes() == kept_jpeg(20)


def test_a_broken_picture_leaves_the_record(tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise FrameError("broken JPEG picture")

    packet = camera(1, b"x", events=(event(1, "start"),), decode=broken)
    packet.frame.jpeg = None
    packet.frame._make = broken  # type: ignore[assignment]
    run(f"snapshots:{tmp_path}", [packet])
    assert [path.suffix for path in files(tmp_path)] == [".json"]


@pytest.mark.parametrize("uri", ["snapshots:", "snapshots:/tmp/x?quality=3"])
def test_wrong_options(uri: str) -> None:
    with pytest.raises(UsageError):
        SnapshotsSink(parse_uri(uri))
