"""Clips: from before an event to after it, out of what is in memory already."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.errors import UsageError
from edgecam.events import Event
from edgecam.mp4 import Track
from edgecam.registry import parse_uri
from edgecam.sinks.clips import ClipsSink
from edgecam.sinks.coding import Coder, Unit
from edgecam.sinks.ring import Ring
from edgecam.types import Packet

from .film_support import WALL, camera, event, files, kept_jpeg, need_ffprobe, probe, shade
from .support import Listener


def run(uri: str, packets: list[Packet]) -> Listener:
    sink, listener = ClipsSink(parse_uri(uri)), Listener()
    sink.start(listener.context(live=False))
    for packet in packets:
        sink.push(packet)
    sink.close()
    assert not sink.failed and not sink.trouble, (sink.failed, sink.trouble)
    return listener


def packets(seconds: float, *steps: Event, first: float = 100.0) -> list[Packet]:
    """Ten pictures a second, each another, with the steps of events at their moments."""
    out = []
    for i in range(round(seconds * 10)):
        at = first + i / 10
        here = tuple(e for e in steps if at - 0.001 <= e.last.at < at + 0.099)
        out.append(camera(at, kept_jpeg(i % 250), events=here))
    return out


def about(path: Path) -> dict:  # type: ignore[type-arg]
    return dict(json.loads(path.with_suffix(".json").read_text()))


def test_it_begins_before_the_event_and_ends_after_it(tmp_path: Path) -> None:
    steps = event(110, "start"), event(112, "update"), event(113, "end")
    listener = run(f"clips:{tmp_path}?pre=3s&post=2s", packets(30, *steps))
    assert listener.reports[0].startswith(f"clips of events to {tmp_path}, from 3 s before to 2 s after")
    media = files(tmp_path, "*.mp4")
    assert len(media) == 1 and media[0].name.endswith("-door.mp4")
    seen = probe(media[0])
    assert seen["codec"] == "mjpeg" and seen["times"][0] == 0
    assert seen["seconds"] == pytest.approx(8, abs=0.2) and seen["pictures"] == pytest.approx(81, abs=1)
    data = media[0].read_bytes()
    assert kept_jpeg(70) in data and kept_jpeg(150) in data  # to the byte, from 107.0 to 115.0
    assert kept_jpeg(68) not in data and kept_jpeg(152) not in data
    found = about(media[0])
    assert found["file"] == media[0].name and found["time"] == pytest.approx(WALL + 107, abs=0.01)
    assert [(e["id"], e["phase"]) for e in found["events"]] == [("e-1", "end")]


def test_events_that_overlap_or_follow_soon_share_a_film(tmp_path: Path) -> None:
    told = ((105, "start", "a"), (108, "start", "b", "gate"), (109, "end", "a"), (110, "end", "b", "gate"))
    told += ((111, "start", "c"), (112, "end", "c"), (125, "start", "d", "gate"), (126, "end", "d", "gate"))
    steps = [event(*step) for step in told]
    run(f"clips:{tmp_path}?pre=2s&post=2s", packets(40, *steps))
    first, second = files(tmp_path, "*.mp4")
    assert [e["id"] for e in about(first)["events"]] == ["a", "b", "c"]
    assert [e["id"] for e in about(second)["events"]] == ["d"] and second.name.endswith("-gate.mp4")
    assert probe(first)["seconds"] == pytest.approx(11, abs=0.3)
    assert probe(second)["seconds"] == pytest.approx(5, abs=0.3)


def test_only_the_rules_that_are_named(tmp_path: Path) -> None:
    steps = (
        event(105, "start"),
        event(106, "end"),
        event(120, "start", "g", "gate"),
        event(121, "end", "g", "gate"),
    )
    run(f"clips:{tmp_path}?rules=gate,garden", packets(40, *steps))
    (path,) = files(tmp_path, "*.mp4")
    assert path.name.endswith("-gate.mp4")


def test_an_event_that_began_long_before_it_is_told(tmp_path: Path) -> None:
    """A dwell of four seconds: the film begins before those, as far as memory reaches."""
    steps = event(110, "start", began=106), event(111, "end", began=106)
    run(f"clips:{tmp_path}?pre=6s&post=1s", packets(20, *steps))
    (path,) = files(tmp_path, "*.mp4")
    assert about(path)["time"] == pytest.approx(WALL + 102, abs=0.2)  # pre + 2 s is what memory holds


def test_a_long_event_goes_on_in_the_next_film_without_a_gap(tmp_path: Path) -> None:
    run(f"clips:{tmp_path}?pre=1s&post=1s&most=5s", packets(20, event(105, "start"), event(115, "end")))
    seen = [probe(path) for path in files(tmp_path, "*.mp4")]
    assert len(seen) == 3 and sum(s["pictures"] for s in seen) == pytest.approx(121, abs=2)
    assert all(s["seconds"] < 5.5 for s in seen)
    assert all(about(path)["events"] for path in files(tmp_path, "*.mp4"))


def test_the_end_of_the_run_ends_a_film(tmp_path: Path) -> None:
    all_of_it = packets(10, event(105, "start"))
    all_of_it.append(camera(109.9, events=(event(109.9, "end"),), state="ended"))
    run(f"clips:{tmp_path}?pre=1s", all_of_it)
    (path,) = files(tmp_path, "*.mp4")
    assert probe(path)["seconds"] == pytest.approx(6, abs=0.2)
    assert about(path)["events"][0]["phase"] == "end"


def test_a_lost_camera_ends_a_film_in_time(tmp_path: Path) -> None:
    lost = [camera(107 + i, state="waiting", events=(event(107, "end"),) if i == 0 else ()) for i in range(6)]
    back = packets(3, first=120)
    run(f"clips:{tmp_path}?pre=1s&post=2s", [*packets(7, event(105, "start")), *lost, *back])
    (path,) = files(tmp_path, "*.mp4")
    assert probe(path)["seconds"] == pytest.approx(3, abs=0.2)


@pytest.mark.ffmpeg
@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_pixels_are_coded_once_and_a_film_begins_with_a_key_picture(tmp_path: Path, codec: str) -> None:
    need_ffprobe()
    film = [
        camera(100 + i / 10, image=shade(i % 200), events=tuple(
            e for e in (event(112, "start"), event(114, "end")) if round(e.last.at * 10) == 1000 + i
        ))
        for i in range(240)
    ]  # fmt: skip
    run(f"clips:{tmp_path}?pre=3s&post=2s&codec={codec}", film)
    (path,) = files(tmp_path, "*.mp4")
    seen = probe(path)
    assert seen["codec"] == codec and seen["pictures"] == len(seen["times"])
    assert seen["seconds"] >= 4  # a key picture comes every 1.2 (MPEG-4) or 3 s (H.264) at this rate


def test_an_encoder_that_a_file_runs_ahead_of_loses_no_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pictures are pushed, the last ones ten seconds after the film's end, before the first is coded."""
    take, asked = Coder.take, [0]

    def late(self: Coder) -> list[Unit]:
        asked[0] += 1
        return take(self) if asked[0] > 250 else []

    monkeypatch.setattr(Coder, "take", late)
    run(
        f"clips:{tmp_path}?pre=3s&post=2s&codec=jpeg",
        packets(26, event(112, "start"), event(114, "end")),
    )
    (path,) = files(tmp_path, "*.mp4")
    assert about(path)["seconds"] == pytest.approx(7, abs=0.3)


def test_memory_that_is_too_little_is_said_once_and_kept_to(tmp_path: Path) -> None:
    listener = run(
        f"clips:{tmp_path}?pre=10s&memory=20K", packets(30, event(115, "start"), event(116, "end"))
    )
    (path,) = files(tmp_path, "*.mp4")
    assert sum("hold less than 10 s of pictures" in line for line in listener.reports) == 1
    assert probe(path)["seconds"] < 10


@pytest.mark.parametrize(
    "uri", ["clips:", "clips:/tmp/x?pre=soon", "clips:/tmp/x?before=3s", "clips:/tmp/x?codec=av1"]
)
def test_wrong_options(uri: str) -> None:
    with pytest.raises(UsageError):
        ClipsSink(parse_uri(uri))


# The ring

TRACK = Track("jpeg", 16, 16)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50), st.booleans()), max_size=60),
    st.floats(0, 10),
    st.integers(0, 200),
)
@settings(max_examples=60)
def test_the_ring_is_bounded_in_seconds_and_bytes(
    steps: list[tuple[float, int, bool]], seconds: float, most: int
) -> None:
    ring, at = Ring(seconds, most), 0.0
    for passed, size, key in steps:
        at += passed
        ring.add(Unit(at, at, key, bytes(size), TRACK))
        held = ring.since(-1.0)
        assert ring.bytes <= most and all(at - unit.at <= seconds for unit in held)
        assert not held or held[0].key
        some = ring.since(at - seconds / 2)
        assert not some or (some[0].key and some[-1].at == at)


def test_a_film_of_another_kind_empties_the_ring() -> None:
    ring = Ring(10, 1000)
    ring.add(Unit(1, 1, True, b"x", TRACK))
    ring.add(Unit(2, 2, True, b"y", Track("jpeg", 32, 32)))
    assert len(ring) == 1 and ring.bytes == 1
    ring.add(Unit(1, 1, True, b"z", ring.since(0)[0].track))
    assert len(ring) == 1


def test_an_hour_without_events_takes_no_memory(tmp_path: Path) -> None:
    """A hundred thousand pictures through it; what is held is the bound."""
    sink = ClipsSink(parse_uri(f"clips:{tmp_path}?memory=1M"))
    sink.start(Listener().context(live=False))
    picture = np.random.default_rng(0).integers(0, 256, 10_000, np.uint8).tobytes()
    tracemalloc.start()
    for i in range(5000):
        sink.push(camera(i / 10, picture + bytes([i % 256])))
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sink.close()
    assert not sink.failed and now < 3 << 20
