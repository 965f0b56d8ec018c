"""From frames to events, through the pipeline and on a real clip."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import build, build_model, build_run
from edgecam.analysis import Analysis, Clock
from edgecam.config import Settings
from edgecam.errors import ConfigError, SourceLostError
from edgecam.model import Model
from edgecam.motiongate import Motion, MotionGate
from edgecam.pipeline import Pipeline
from edgecam.scene import Line, Rule, Scene, Zone
from edgecam.types import Classification, Detections, Frame, Geometry, Packet, Result
from tests.e2e.command import edgecam

from .test_pipeline import SPEC, Capture, ListSink, ListSource, ToyEngine, ToyPreprocessor

LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
STAY = Scene((LEFT,), (), (Rule("stay", zone="left", end_after=0.5),))


def frame(seq: int, **times: Any) -> Frame:
    return Frame(seq, np.zeros((48, 64, 3), np.uint8), source="list", **times)


def box(x: float, score: float = 0.9) -> Detections:
    corners = np.array([[x - 5, 10, x + 5, 40]], np.float32)
    return Detections(corners, np.array([score], np.float32), np.array([0], np.int32))


# -- the clock


def test_a_film_that_begins_again_goes_on() -> None:
    clock = Clock()
    times = [clock.at(t, film=True) for t in (0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.5)]
    assert times == [0.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0]


def test_a_picture_out_of_turn_moves_nothing_and_a_time_that_was_wrong_is_left_behind() -> None:
    clock = Clock()
    assert [clock.at(t) for t in (5.0, 6.0, 5.9, 6.1)] == [5.0, 6.0, 6.0, 6.1]
    assert [clock.at(t) for t in (1e6, 6.2, 6.3)] == [1e6, 1e6, pytest.approx(1e6 + 0.1)]


def test_asking_for_the_time_does_not_move_it() -> None:
    clock = Clock()
    clock.at(5.0)
    assert clock.now(7.0) == 7.0 and clock.now(1.0) == 5.0
    assert clock.at(6.9) == 6.9


@given(st.lists(st.floats(-1e6, 1e6), min_size=2), st.booleans())
def test_the_clock_never_falls(moments: list[float], film: bool) -> None:
    clock = Clock()
    times = [clock.at(moment, film=film) for moment in moments]
    assert times == sorted(times)
    for (a, b), (x, y) in zip(itertools.pairwise(times), itertools.pairwise(moments), strict=True):
        assert b - a <= max(0.0, y - x) + 1e-6
        assert not film or b - a == pytest.approx(max(0.0, y - x), abs=1e-6)


# -- what it does with results


def test_events_carry_the_frame_and_the_model_s_labels() -> None:
    analysis = Analysis(STAY)
    found: Result
    found, events = analysis.look(frame(0, media_time=0.0), box(16), ("person",), 0.5)
    assert isinstance(found, Detections) and not events
    found, events = analysis.look(frame(1, media_time=0.1), box(16), ("person",), 0.5)
    (event,) = events
    assert (event.phase, event.label, event.tracks) == ("start", "person", (1,))
    assert event.start.seq == 1 and event.start.media_time == 0.1
    assert analysis.counts == {"stay": {"events": 1, "now": 1}}


def test_the_user_s_threshold_goes_before_the_model_s() -> None:
    for asked, known in ((None, 0), (0.3, 1)):
        analysis = Analysis(Scene(), threshold=asked)
        found, _ = analysis.look(frame(0), box(16, 0.4), ("person",), 0.5)
        assert len(found) == known


def test_a_classification_is_smoothed() -> None:
    analysis = Analysis(Scene(), smoothing=1.0)
    for n in range(10):
        a = Classification(np.array([0.9], np.float32), np.array([3], np.int32))
        analysis.look(frame(n, media_time=n / 10), a, ("a",), 0.05)
    other = Classification(np.array([0.9], np.float32), np.array([1], np.int32))
    found, _ = analysis.look(frame(10, media_time=1.0), other, ("a",), 0.05)
    assert found.class_id.tolist() == [3, 1][: len(found)]


# -- in the pipeline


class BoxHead:
    """Says that there is a box in the middle of the left half."""

    threshold = 0.5

    def decode(self, arrays: Sequence[Any], geometry: Geometry) -> Result:
        return box(16)


def run(source: ListSource, **options: Any) -> ListSink:
    sink = ListSink()
    capture = Capture(source)
    spec = replace(SPEC, task="detect", labels=("person",))
    model = Model(spec, ToyPreprocessor(), ToyEngine(), BoxHead())  # type: ignore[arg-type]
    capture.start()
    Pipeline(capture, model, [sink], **options).run()
    return sink


def steps(packets: list[Packet]) -> list[tuple[str, int]]:
    return [(event.phase, packet.frame.seq) for packet in packets for event in packet.events]


def test_what_still_goes_on_ends_with_the_run_in_a_packet_of_its_own() -> None:
    frames = [frame(n, media_time=n / 10) for n in range(5)]
    packets = run(ListSource(list(frames)), analysis=Analysis(STAY)).packets
    assert steps(packets) == [("start", 1), ("end", 4)]
    assert len(packets) == 6 and [p.status.state for p in packets] == ["running"] * 5 + ["ended"]
    last = packets[-1]
    assert last.result is None and last.frame is packets[-2].frame
    assert last.events[0].last.seq == 4
    assert packets[-2].record()["detections"][0]["track_id"] == 1
    assert packets[-2].record()["counts"] == {"stay": {"events": 1, "now": 1}}


def test_without_an_open_event_there_is_no_packet_more() -> None:
    frames = [frame(n, media_time=n / 10) for n in range(3)]
    assert len(run(ListSource(list(frames)), analysis=Analysis(Scene())).packets) == 3
    plain = run(ListSource(list(frames))).packets
    assert len(plain) == 3 and all(not packet.events and not packet.counts for packet in plain)
    assert isinstance(plain[0].result, Detections) and plain[0].result.track_id is None
    assert "track_id" not in plain[0].record()["detections"][0] and "counts" not in plain[0].record()


def test_a_camera_that_is_away_ends_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam.pipeline.PLACARD_EVERY", 0.05)
    monkeypatch.setattr("edgecam.capture.FIRST_RETRY", 0.05, raising=False)
    sink_seen: list[Frame] = []

    def later() -> None:
        sink_seen.append(frame(9))
        time.sleep(1.5)

    frames = [frame(n) for n in range(3)]
    paced = [item for one in frames for item in (one, lambda: time.sleep(0.1))]
    source = ListSource([*paced, SourceLostError("unplugged"), later], live=True)
    packets = run(source, analysis=Analysis(STAY)).packets
    found = [(event.phase, packet.status.state) for packet in packets for event in packet.events]
    assert found == [("start", "running"), ("end", "waiting")]


# -- from the command line


SYNTHETIC = """
track = true
[[zone]]
name = "all"
points = [[0, 0], [1, 0], [1, 1], [0, 1]]
[[rule]]
name = "seen"
zone = "all"
labels = ["{label}"]
"""


def test_a_label_that_the_model_has_not_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(SYNTHETIC.format(label="persn"))
    done = edgecam(
        "run", "synthetic:?frames=3&live=no", "--engine", "fake", "--config", config, "-s", "jsonl:-"
    )
    assert done.returncode == 2 and not done.stdout
    assert "rule 'seen': the model has no label 'persn': did you mean 'person'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_new_settings_are_checked_before_they_are_taken() -> None:
    bad = replace(Settings(), source="demo:", sinks=("jsonl:-",), rule=(Rule("a", labels=("persn",)),))
    with pytest.raises(ConfigError, match="persn"):
        build.check(bad)


def test_tracking_is_off_unless_asked_for(tmp_path: Path) -> None:
    for flags, has in (((), False), (("--track",), True)):
        done = edgecam(
            "run", "synthetic:?frames=4&live=no", "--engine", "fake", *flags, "-s", "jsonl:-", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(rows) == 4 and ("track_id" in rows[-1]["detections"][0]) is has
    assert [row["detections"][0]["track_id"] for row in rows] == [0, 1, 1, 1]


# -- a real clip


CLIP_RULES = Scene(
    (Zone("table", ((0.4, 0.0), (0.75, 0.0), (0.75, 1.0), (0.4, 1.0))),),
    (Line("exit", ((0.8, 0.0), (0.8, 1.0))),),
    (
        Rule("left", line="exit", labels=("person",)),
        Rule("waits", zone="table", labels=("person",), dwell=5.0),
        Rule("together", zone="table", labels=("person",), count=2),
    ),
)

#: Looked up in the pictures, to about a second: when each of the six comes into the zone and leaves it.
AT_TABLE = [(7, 19), (23, 44), (51, 69), (75, 86), (93, 119), (124, 135)]


@pytest.mark.real
@pytest.mark.parametrize("gate", [None, MotionGate(Motion())], ids=["every frame", "motion gate"])
def test_six_people_one_by_one_are_six_tracks_and_six_of_each_event(
    real: Path, gate: MotionGate | None
) -> None:
    settings = replace(
        Settings(),
        source=str(real / "one-by-one-person-detection.mp4"),
        zone=CLIP_RULES.zones,
        line=CLIP_RULES.lines,
        rule=CLIP_RULES.rules,
    )
    sink = ListSink()
    source = build.create_source(settings, print)
    model = build.load_model(settings, build_model.weak(settings))
    capture = Capture(source)
    capture.start()
    try:
        analysis = build_run.make_analysis(settings, model)
        report = Pipeline(capture, model, [sink], analysis=analysis, gate=gate).run()
    finally:
        model.engine.close()
    assert report.frames == 1394
    if gate is not None:
        assert 0.1 < report.still / report.frames < 0.15  # somebody moves nearly all the time
    ids = {
        int(i)
        for packet in sink.packets
        if isinstance(packet.result, Detections) and packet.result.track_id is not None
        for i in packet.result.track_id
    }
    assert ids == {0, 1, 2, 3, 4, 5, 6}
    assert sink.packets[-1].counts == {
        "left": {"events": 6, "in": 0, "out": 6},
        "waits": {"events": 6, "now": 0},
        "together": {"events": 0, "now": 0},
    }
    ends = [e for p in sink.packets for e in p.events if e.phase == "end" and e.rule == "waits"]
    for event, (first, last) in zip(ends, AT_TABLE, strict=True):
        assert event.start.media_time == pytest.approx(first + 5, abs=1.5)
        assert event.last.media_time == pytest.approx(last, abs=1.5)
        assert event.best.score > 0.85 and event.best.label == "person"
