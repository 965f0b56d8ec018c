"""The main loop, with parts small enough to steer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edgecam import capture as capture_module
from edgecam import pipeline as pipeline_module
from edgecam import reader as reader_module
from edgecam.capture import Capture
from edgecam.contract import ModelSpec
from edgecam.errors import EngineError, FrameError, SinkError, SourceLostError
from edgecam.pipeline import Model, Pipeline, PipelineOptions
from edgecam.sinks.base import SinkContext
from edgecam.types import Classification, Frame, Geometry, Packet, Result, Status, TensorInfo

SPEC = ModelSpec("toy", "classify", "classify", labels=("dark", "bright"))


class ToyEngine:
    input = TensorInfo("in", (1, 4, 4, 3), np.dtype(np.uint8))
    outputs = (TensorInfo("out", (1, 2), np.dtype(np.float32)),)
    device, runtime, notes, trouble = "toy", "toy 1", (), ""

    def __init__(self, fail_at: int = -1) -> None:
        self.calls = 0
        self.fail_at = fail_at

    def infer(self, tensor: Any) -> Sequence[Any]:
        if self.calls == self.fail_at:
            raise EngineError("the interpreter failed")
        self.calls += 1
        bright = float(tensor.mean()) / 255
        return [np.array([[1 - bright, bright]], np.float32)]

    def close(self) -> None:
        pass


class ToyPreprocessor:
    def need(self, frame: tuple[int, int]) -> tuple[int, int]:
        return 4, 4

    def ahead(self, frame: Frame) -> None:
        frame.prepare(4, 4)

    def __call__(self, frame: Frame) -> tuple[Any, Geometry]:
        return frame.pixels(4, 4)[None], Geometry(frame.size, (4, 4), (1, 1), (0, 0))


class ToyHead:
    def decode(self, arrays: Sequence[Any], geometry: Geometry) -> Result:
        order = np.argsort(-arrays[0][0]).astype(np.int32)
        return Classification(arrays[0][0][order], order)


@dataclass
class ListSource:
    """Plays its steps; a callable is called, an exception raised, a frame given."""

    steps: list[Frame | Exception | Callable[[], Any]]
    live: bool = False
    name: str = "list"
    total: int | None = None
    broken: int = 0

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, Frame):
                return step
            if isinstance(step, Exception):
                raise step
            step()
        return None

    def close(self) -> None:
        pass


@dataclass
class ListSink:
    name: str = "list"
    dropped: int = 0
    failed: str = ""
    look: bool = False
    fail_start: bool = False
    fail_push: bool = False
    packets: list[Packet] = field(default_factory=list)
    closed: int = 0
    context: SinkContext | None = None
    seen: threading.Event = field(default_factory=threading.Event)

    def start(self, context: SinkContext) -> None:
        self.context = context
        if self.fail_start:
            raise SinkError("port 80 is in use", "choose another")

    def push(self, packet: Packet) -> None:
        if self.fail_push:
            raise OSError("disk full")
        if self.look:
            packet.picture()
        self.packets.append(packet)
        self.seen.set()

    def close(self) -> None:
        self.closed += 1


def frame(seq: int, value: int = 0) -> Frame:
    return Frame(seq, np.full((4, 4, 3), value, np.uint8), source="list")


def broken_frame(seq: int) -> Frame:
    def decode(data: bytes, width: int, height: int) -> Any:
        raise FrameError("broken JPEG picture")

    return Frame(seq, jpeg=b"x", size=(4, 4), decode=decode)


def make(source: ListSource, *sinks: ListSink, **kwargs: Any) -> Pipeline:
    engine = kwargs.pop("engine", None) or ToyEngine()
    capture = Capture(source, exit_on_loss=kwargs.pop("exit_on_loss", False))
    model = Model(SPEC, ToyPreprocessor(), engine, ToyHead())  # type: ignore[arg-type]
    capture.start()
    return Pipeline(capture, model, sinks, **kwargs)


def test_every_frame_of_a_file_reaches_every_sink_in_order_with_its_result() -> None:
    a, b = ListSink(), ListSink("other")
    report = make(ListSource([frame(i, 255 * (i % 2)) for i in range(40)]), a, b).run()
    assert [p.frame.seq for p in a.packets] == list(range(40)) == [p.frame.seq for p in b.packets]
    best = [p.label(int(p.result.class_id[0])) for p in a.packets if p.result is not None]
    assert best == ["dark", "bright"] * 20
    assert report.frames == 40 and report.dropped == 0 and report.reason == "the source ended"
    assert a.closed == b.closed == 1
    assert not [t for t in threading.enumerate() if t.name.startswith("edgecam-")]


def test_times_follow_the_frame_through_the_stages() -> None:
    sink = ListSink(look=True)
    make(ListSource([frame(0)]), sink, render=lambda packet: packet.frame.image).run()
    t = sink.packets[0].frame.times
    assert 0 < t.captured <= t.taken <= t.preprocessed <= t.inferred <= t.decoded <= t.drawn


def test_the_overlay_is_drawn_once_for_all_lookers_and_never_for_none() -> None:
    drawn = []

    def render(packet: Packet) -> Any:
        drawn.append(packet.frame.seq)
        return packet.frame.image

    make(ListSource([frame(i) for i in range(5)]), ListSink(), render=render).run()
    assert drawn == []
    lookers = ListSink(look=True), ListSink(look=True), ListSink()
    make(ListSource([frame(i) for i in range(5)]), *lookers, render=render).run()
    assert drawn == [0, 1, 2, 3, 4]


def test_a_broken_picture_is_skipped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    sink = ListSink()
    steps = [frame(0), broken_frame(1), broken_frame(2), frame(3)]
    report = make(ListSource(list(steps)), sink).run()
    assert [p.frame.seq for p in sink.packets] == [0, 3]
    assert report.broken == 2 and report.frames == 2
    assert caplog.text.count("skipped: broken JPEG") == 1


def test_a_sink_that_fails_is_named_once_and_the_rest_goes_on() -> None:
    said: list[str] = []
    bad, good = ListSink("record:full.mp4", fail_push=True), ListSink()
    report = make(ListSource([frame(i) for i in range(5)]), bad, good, report=said.append).run()
    assert len(good.packets) == 5
    assert [line for line in said if "disk full" in line] == ["record:full.mp4 stopped: OSError: disk full"]
    assert report.failures == ["record:full.mp4: OSError: disk full"]


def test_a_sink_that_cannot_start_ends_the_run_and_closes_the_others() -> None:
    first, bad = ListSink(), ListSink(fail_start=True)
    source = ListSource([frame(i) for i in range(5)])
    with pytest.raises(SinkError, match="port 80"):
        make(source, first, bad).run()
    assert first.closed == 1
    assert not [t for t in threading.enumerate() if t.name.startswith("edgecam-")]


def test_an_engine_error_ends_the_run_and_finishes_the_sinks() -> None:
    sink = ListSink()
    with pytest.raises(EngineError):
        make(ListSource([frame(i) for i in range(5)]), sink, engine=ToyEngine(fail_at=3)).run()
    assert len(sink.packets) == 3 and sink.closed == 1


def test_max_frames_and_duration_bound_a_run() -> None:
    report = make(ListSource([frame(i) for i in range(9)]), options=PipelineOptions(max_frames=4)).run()
    assert report.frames == 4 and report.reason == "4 frames done"
    forever = threading.Event()
    source = ListSource([lambda: forever.wait(60)], live=True)
    pipeline = make(source, options=PipelineOptions(duration=0.3))
    try:
        assert pipeline.run().reason == "0.3 s are over"
    finally:
        forever.set()


def test_a_sink_can_end_the_run() -> None:
    sink = ListSink()
    pipeline = make(ListSource([frame(i) for i in range(100_000)]), sink)
    threading.Thread(target=lambda: (sink.seen.wait(5), sink.context.stop("window closed"))).start()  # type: ignore[union-attr]
    assert pipeline.run().reason == "window closed"


def test_a_lost_source_shows_a_placard_with_the_reason_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.02)
    monkeypatch.setattr(pipeline_module, "PLACARD_EVERY", 0.05)
    monkeypatch.setattr(reader_module, "BACKOFF_FIRST", 0.3)
    sink = ListSink()
    steps = [frame(0), lambda: sink.seen.wait(5), SourceLostError("/dev/video0 is unplugged"), frame(7)]
    report = make(ListSource(list(steps), live=True), sink).run()
    assert report.lost == 1
    results = [p for p in sink.packets if p.result is not None]
    placards = [p for p in sink.packets if p.result is None]
    assert [p.frame.seq for p in results] == [0, 7]
    assert len(placards) >= 2
    assert {p.status.state for p in placards} == {"waiting"}
    assert placards[0].status.message == "/dev/video0 is unplugged"
    assert placards[0].frame.size == (4, 4)
    assert results[-1].status.lost == 1 and results[-1].status.state == "running"


def test_a_silent_source_counts_as_lost_though_its_read_still_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.02)
    sink, hang = ListSink(), threading.Event()
    source = ListSource([frame(0), lambda: hang.wait(10)], live=True)
    pipeline = make(source, sink, options=PipelineOptions(stall=0.1))
    runner = threading.Thread(target=pipeline.run)
    runner.start()
    deadline = time.monotonic() + 5
    while not any(p.result is None for p in sink.packets) and time.monotonic() < deadline:
        time.sleep(0.01)
    hang.set()
    runner.join(10)
    placard = next(p for p in sink.packets if p.result is None)
    assert placard.status.state == "waiting" and "no frame for" in placard.status.message


def test_exit_on_source_error_ends_the_run_with_the_reason() -> None:
    source = ListSource([frame(0), SourceLostError("gone"), frame(1)], live=True)
    with pytest.raises(SourceLostError, match="gone"):
        make(source, exit_on_loss=True).run()


class Watch:
    """Notes what the run tells about itself."""

    def __init__(self) -> None:
        self.told: list[tuple[Status, int]] = []

    def __call__(self, status: Status, work: int) -> None:
        self.told.append((status, work))

    @property
    def states(self) -> list[str]:
        return list(dict.fromkeys(status.state for status, _ in self.told))


def test_who_watches_is_told_the_state_and_the_work_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.02)
    monkeypatch.setattr(reader_module, "BACKOFF_FIRST", 0.1)
    watch, sink = Watch(), ListSink()
    pause = threading.Event()
    steps = [
        frame(0),
        lambda: pause.wait(0.1),
        SourceLostError("unplugged"),
        frame(1),
        lambda: pause.wait(0.1),
    ]
    make(ListSource(list(steps), live=True), sink, watch=watch).run()
    assert watch.states == ["running", "waiting"]
    waiting = next(status for status, _ in watch.told if status.state == "waiting")
    assert waiting.words == "waiting for camera (unplugged)"
    assert watch.told[-1][1] > watch.told[0][1]


def test_no_work_is_done_while_every_picture_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.0)
    watch = Watch()
    make(ListSource([broken_frame(i) for i in range(30)], live=False), watch=watch).run()
    assert {work for _, work in watch.told} == {0}


def test_no_work_is_done_while_a_read_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.01)
    hang, watch = threading.Event(), Watch()
    source = ListSource([frame(0), lambda: hang.wait(10)], live=True)
    pipeline = make(source, watch=watch, options=PipelineOptions(stall=0.05, duration=0.5))
    pipeline.run()
    hang.set()
    waiting = [work for status, work in watch.told if status.state == "waiting"]
    # One, because the read that brought the frame before came back: nothing more after that.
    assert len(waiting) > 5 and len(set(waiting[1:])) == 1


def test_a_sink_that_fails_makes_the_run_degraded() -> None:
    sink, watch = ListSink(), Watch()
    bad = ListSink("record:full.mp4", fail_push=True)
    make(ListSource([frame(i) for i in range(5)]), bad, sink, watch=watch).run()
    assert [p.status.state for p in sink.packets] == ["running"] + ["degraded"] * 4
    assert sink.packets[-1].status.words == "degraded (record:full.mp4 stopped: OSError: disk full)"


def test_the_last_frame_of_a_file_is_running_though_its_reader_has_ended() -> None:
    sink, read = ListSink(), threading.Event()
    source = ListSource([frame(0)])
    capture = Capture(source)
    capture.start()
    model = Model(SPEC, ToyPreprocessor(), ToyEngine(), ToyHead())  # type: ignore[arg-type]
    while not capture.ended:
        read.wait(0.01)
    Pipeline(capture, model, [sink]).run()
    assert [p.status.state for p in sink.packets] == ["running"]


def test_a_reader_that_hangs_is_replaced_without_the_run_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.01)
    monkeypatch.setattr(capture_module, "PATIENCE", 0.1)
    monkeypatch.setattr(reader_module, "GRACE", 0.01)
    hang, sink = threading.Event(), ListSink()
    sources = iter(
        [
            ListSource([frame(0), lambda: hang.wait(10)], live=True),
            ListSource([frame(0), frame(1)], live=True, broken=2),
        ]
    )
    capture = Capture(next(sources), renew=lambda: next(sources))
    capture.start()
    model = Model(SPEC, ToyPreprocessor(), ToyEngine(), ToyHead())  # type: ignore[arg-type]
    report = Pipeline(capture, model, [sink]).run()
    hang.set()
    seen = [p.frame.seq for p in sink.packets if p.result is not None]
    assert seen[0] == 0 and seen[-1] == 2
    assert (report.lost, report.broken, report.reason) == (1, 2, "the source ended")


class Standby:
    """Notes what it is shown, and has a model ready."""

    def __init__(self, model: Model | None) -> None:
        self.model = model
        self.shown: list[int] = []
        self.errors: list[str] = []
        self.watches = False

    def seen(self, frame: Frame, found: Result) -> None:
        self.shown.append(frame.seq)

    def rescue(self, model: Model, error: Exception) -> Model | None:
        self.errors.append(str(error))
        return self.model


def toy(engine: ToyEngine) -> Model:
    return Model(SPEC, ToyPreprocessor(), engine, ToyHead())  # type: ignore[arg-type]


def test_an_understudy_takes_over_within_the_frame_at_which_the_model_fails() -> None:
    sink, standby = ListSink(), Standby(toy(ToyEngine()))
    source = ListSource([frame(i) for i in range(6)])
    capture = Capture(source)
    capture.start()
    pipeline = Pipeline(capture, toy(ToyEngine(fail_at=3)), [sink], understudy=standby)
    pipeline.run()
    assert [p.frame.seq for p in sink.packets] == standby.shown == [0, 1, 2, 3, 4, 5]
    assert standby.errors == ["the interpreter failed"] and pipeline.model is standby.model


def test_without_another_model_the_error_ends_the_run() -> None:
    sink = ListSink()
    capture = Capture(ListSource([frame(i) for i in range(6)]))
    capture.start()
    with pytest.raises(EngineError):
        Pipeline(capture, toy(ToyEngine(fail_at=3)), [sink], understudy=Standby(None)).run()
    assert len(sink.packets) == 3


def test_the_next_picture_of_a_file_is_decoded_while_the_one_before_is_worked_on() -> None:
    """On the reading thread, once, and as far as the model needs it; one that is broken is counted once."""
    decoded: list[tuple[str, tuple[int, int]]] = []

    def decode(data: bytes, width: int, height: int) -> Any:
        decoded.append((threading.current_thread().name, (width, height)))
        if data == b"broken":
            raise FrameError("broken")
        return np.zeros((8, 8, 3), np.uint8)

    pictures = [b"good", b"good", b"good", b"broken", b"good", b"good"]
    frames = [Frame(n, jpeg=data, size=(8, 8), decode=decode) for n, data in enumerate(pictures)]
    report = make(ListSource(list(frames))).run()
    assert (report.frames, report.broken) == (5, 1)
    ahead = [size for thread, size in decoded if thread == "edgecam-capture"]
    assert set(ahead) == {(4, 4)}
    assert len(ahead) >= 4  # the first two may have been read before there was a model
    assert len(decoded) == len(pictures) + 1  # the broken one again
