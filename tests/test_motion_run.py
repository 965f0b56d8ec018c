"""The motion gate in a run: what sinks, figures and the understudy get of frames that were spared."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecam import config_load
from edgecam.capture import Capture
from edgecam.cli.app import execute
from edgecam.motiongate import Motion, MotionGate
from edgecam.pipeline import Model, Pipeline
from edgecam.types import Frame, Geometry, Packet
from tests.test_pipeline import ListSink, ListSource, Standby, ToyEngine, ToyPreprocessor, broken_frame, toy

FPS = 10


class SeeingPreprocessor(ToyPreprocessor):
    """Looks at all of the frame."""

    def view(self, frame: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return frame.pixels(4, 4)

    def __call__(self, frame: Frame) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Geometry]:
        return super().__call__(frame)


def film(*values: int) -> list[Frame]:
    """A frame of 4x4 in one grey for each value, ten a second."""
    return [Frame(n, np.full((4, 4, 3), v, np.uint8), media_time=n / FPS) for n, v in enumerate(values)]


def model(engine: ToyEngine) -> Model:
    made = toy(engine)
    made.head.threshold = 0.5  # type: ignore[attr-defined]
    return Model(made.spec, SeeingPreprocessor(), engine, made.head)  # type: ignore[arg-type]


def run(frames: list[Frame], understudy: Standby | None = None) -> tuple[ToyEngine, ListSink, Pipeline]:
    engine, sink = ToyEngine(), ListSink()
    capture = Capture(ListSource(list(frames)))
    capture.start()
    pipeline = Pipeline(
        capture, model(engine), [sink], gate=MotionGate(Motion(every=2.0)), understudy=understudy
    )
    pipeline.run()
    return engine, sink, pipeline


def test_every_frame_reaches_every_sink_with_a_result_and_says_whose_it_is() -> None:
    engine, sink, _ = run(film(*[0] * 25, *[255] * 25))
    assert len(sink.packets) == 50
    fresh = [packet.fresh for packet in sink.packets]
    assert fresh == ([True] * 10 + [False] * 15) * 2
    assert engine.calls == 20
    for number, packet in enumerate(sink.packets):
        assert packet.result is not None and packet.result.class_id[0] == (number >= 25)
        assert packet.record().get("repeated", False) is not packet.fresh
    # A result of an earlier frame has no times of stages that it did not pass.
    assert {"taken", "preprocessed", "inferred", "decoded"} == set(sink.packets[0].record()["ms"])
    assert {"taken", "decoded"} == set(sink.packets[12].record()["ms"])


def test_frames_that_were_spared_are_counted_apart() -> None:
    _, sink, pipeline = run(film(*[0] * 25))
    last = sink.packets[-1].status
    assert (last.frames, last.still, last.dropped, last.broken) == (25, 15, 0, 0)
    assert pipeline._tally.count().still == 15
    assert last.as_dict()["still"] == 15


def test_an_understudy_sees_every_frame_that_the_model_sees_and_keeps_it_awake_while_it_watches() -> None:
    standby = Standby(None)
    engine, sink, _ = run(film(*[0] * 25), standby)
    assert standby.shown == list(range(10)) and engine.calls == 10
    standby = Standby(None)
    standby.watches = True
    engine, sink, _ = run(film(*[0] * 25), standby)
    assert standby.shown == list(range(25)) and engine.calls == 25
    assert all(packet.fresh for packet in sink.packets)


def test_a_broken_picture_is_skipped_and_the_rest_goes_on() -> None:
    frames = film(*[0] * 25)
    frames[15] = broken_frame(15)
    _, sink, _ = run(frames)
    assert [packet.frame.seq for packet in sink.packets] == [n for n in range(25) if n != 15]
    assert sink.packets[-1].status.broken == 1


def test_another_model_looks_at_once() -> None:
    engine, second = ToyEngine(), ToyEngine()

    class Changing(ListSink):
        def push(self, packet: Packet) -> None:
            super().push(packet)
            if packet.frame.seq == 19:
                pipeline.use(model(second))

    capture = Capture(ListSource([*film(*[0] * 40)]))
    capture.start()
    pipeline = Pipeline(capture, model(engine), [Changing()], gate=MotionGate(Motion(every=100)))
    pipeline.run()
    assert engine.calls == 10 and second.calls == 10


def test_pictures_of_a_folder_are_all_looked_at() -> None:
    frames = film(*[0] * 25)
    for frame in frames:
        frame.name = f"{frame.seq}.png"
    engine, sink, _ = run(frames)
    assert engine.calls == 25 and all(packet.fresh for packet in sink.packets)


@pytest.mark.parametrize("name", ["motion", "motion_part", "motion_every", "region"])
def test_settings_and_flags_have_the_same_word(name: str) -> None:
    assert hasattr(config_load.load(file=None, environ={"HOME": "/nonexistent"}).settings, name)


def test_the_command_spares_what_does_not_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, out = tmp_path / "clip.avi", tmp_path / "out.jsonl"
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for number in range(30):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, 32 if number < 15 else 0 :] = 255 * (
            number >= 5
        )  # at 5 in the right half, at 15 in the left
        writer.write(picture)
    writer.release()
    flags = ["--engine", "fake", "--motion", "--region", "0,0 0.5,1"]
    assert execute(["run", str(clip), *flags, "--sink", f"jsonl:{out}"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    # What moves outside of the region wakes nobody.
    assert [row.get("repeated", False) for row in rows] == [False] * 10 + [True] * 5 + [False] * 10 + [
        True
    ] * 5
    assert "10 still" in capsys.readouterr().err
