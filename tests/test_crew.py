"""Several frames of a file at a time: the same results in the same order, and what ends them."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import build_crew
from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.crew import Crew
from edgecam.errors import EngineError
from edgecam.model import Model
from edgecam.pipeline import Pipeline, PipelineOptions
from edgecam.types import Classification
from tests.e2e.command import edgecam
from tests.engines.conftest import compiled
from tests.test_pipeline import (
    SPEC,
    ListSink,
    ListSource,
    ToyEngine,
    ToyHead,
    ToyPreprocessor,
    broken_frame,
    frame,
)


class Worker(ToyEngine):
    """Notes who runs it, and takes long for a bright picture."""

    def __init__(self, fail_at: int = -1) -> None:
        super().__init__(fail_at)
        self.threads: set[str] = set()
        self.closed = 0

    def infer(self, tensor: Any) -> Sequence[Any]:
        self.threads.add(threading.current_thread().name)
        time.sleep(float(tensor.mean()) / 255 / 50)
        return super().infer(tensor)

    def close(self) -> None:
        self.closed += 1


class Shop:
    """Makes models, the first as the crew's own."""

    def __init__(self, fail_at: int = -1) -> None:
        self.engines: list[Worker] = []
        self._fail_at = fail_at
        self.first = self.make()

    def make(self) -> Model:
        self.engines.append(Worker(self._fail_at))
        return Model(SPEC, ToyPreprocessor(), self.engines[-1], ToyHead())  # type: ignore[arg-type]


def run(source: ListSource, shop: Shop, crew: Crew, sink: ListSink, **options: Any) -> Any:
    capture = Capture(source)
    capture.slot.room = 3
    capture.start()
    try:
        return Pipeline(capture, shop.first, [sink], crew=crew, options=PipelineOptions(**options)).run()
    finally:
        crew.close()


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("edgecam-crew")]


def test_results_come_in_order_whoever_is_faster() -> None:
    shop, sink = Shop(), ListSink()
    values = [int(v) for v in np.random.default_rng(1).integers(0, 256, 60)]
    frames = [frame(i, value) for i, value in enumerate(values)]
    report = run(ListSource(list(frames)), shop, Crew(shop.first, shop.make, 3), sink)
    assert [p.frame.seq for p in sink.packets] == list(range(60))
    for packet, value in zip(sink.packets, values, strict=True):
        assert isinstance(packet.result, Classification)
        scores = dict(zip(packet.result.class_id.tolist(), packet.result.score.tolist(), strict=True))
        assert scores[1] == pytest.approx(value / 255, abs=1e-3)
        times = packet.frame.times
        assert times.captured <= times.taken <= times.preprocessed <= times.inferred <= times.decoded
    assert report.frames == 60 and report.dropped == 0
    # Each has an interpreter that nobody else runs.
    assert len(shop.engines) == 3
    assert all(len(engine.threads) == 1 for engine in shop.engines)
    assert len(set.union(*(engine.threads for engine in shop.engines))) == 3
    assert [engine.closed for engine in shop.engines] == [0, 1, 1]  # the first is its owner's
    assert not workers()


def test_a_broken_picture_is_counted_once_and_the_rest_goes_on() -> None:
    shop, sink = Shop(), ListSink()
    frames = [frame(0), broken_frame(1), frame(2), broken_frame(3), frame(4)]
    report = run(ListSource(list(frames)), shop, Crew(shop.first, shop.make, 2), sink)
    assert [p.frame.seq for p in sink.packets] == [0, 2, 4]
    assert report.broken == 2


def test_an_interpreter_that_fails_ends_the_run() -> None:
    shop, sink = Shop(fail_at=4), ListSink()
    source = ListSource([frame(i) for i in range(200)])
    with pytest.raises(EngineError, match="the interpreter failed"):
        run(source, shop, Crew(shop.first, shop.make, 2), sink)
    assert [p.frame.seq for p in sink.packets] == list(range(len(sink.packets)))
    assert not workers()


def test_where_there_is_no_second_interpreter_one_does_all() -> None:
    shop, sink = Shop(), ListSink()

    def refuse() -> Model:
        raise EngineError("no memory")

    report = run(ListSource([frame(i) for i in range(20)]), shop, Crew(shop.first, refuse, 3), sink)
    assert report.frames == 20
    assert len(shop.engines) == 1


def test_a_run_that_stops_leaves_nothing_at_work() -> None:
    shop, sink = Shop(), ListSink()
    source = ListSource([frame(i, 255) for i in range(500)])
    report = run(source, shop, Crew(shop.first, shop.make, 2), sink, max_frames=5)
    assert report.frames == 5
    assert not workers()
    assert sum(engine.calls for engine in shop.engines) < 20


def test_nobody_works_before_the_first_frame() -> None:
    """So that a run that fails before leaves no thread behind."""
    shop = Shop()
    crew = Crew(shop.first, shop.make, 2)
    assert not workers()
    crew.close()
    assert len(shop.engines) == 1


def test_the_first_frames_need_not_be_begun() -> None:
    """They were read while the model was loading."""
    shop = Shop()
    crew = Crew(shop.first, shop.make, 2)
    try:
        found = crew.result(frame(0, 255))
    finally:
        crew.close()
    assert isinstance(found, Classification)
    assert found.class_id[0] == 1


@pytest.mark.parametrize(
    ("changes", "live", "total", "hands"),
    [
        ({}, False, None, 4),
        ({}, False, 100, 4),
        ({}, False, 2, 2),
        ({}, False, 1, 1),
        ({"max_frames": 3}, False, 100, 3),
        ({"threads": 1}, False, 100, 1),
        ({}, True, None, 1),
        ({"engine": "fake"}, False, 100, 1),
        ({"device": "usb"}, False, 100, 1),
        ({"delegate": "libx.so"}, False, 100, 1),
        ({"model": "some-edgetpu.tflite"}, False, 100, 1),
        ({"model": "by-any-name.tflite"}, False, 100, 1),
        ({"motion": True}, False, 100, 1),
        ({"mask": ("0,0 0.5,0 0.5,0.5",)}, False, 100, 4),
        ({"mask": ("0,0 0.5,0 0.5,0.5 model=yes",)}, False, 100, 1),
    ],
)
def test_when_there_are_several(
    changes: dict[str, Any], live: bool, total: int | None, hands: int, tmp_path: Path
) -> None:
    capture = Capture(ListSource([], live=live, total=total))
    capture.opened.set()
    if "model" in changes:
        changes = {"model": str(tmp_path / changes["model"])}
        Path(changes["model"]).write_bytes(compiled().write())
    settings = dataclasses.replace(Settings(threads=4), **changes)
    assert build_crew.hands(settings, capture) == hands


def test_a_film_has_the_same_results_from_one_interpreter_and_from_several(tmp_path: Path) -> None:
    """The bundled detector on 45 pictures, by the command."""
    found = {}
    for threads in (1, 3):
        out = tmp_path / f"{threads}.jsonl"
        said = edgecam("run", "demo:?frames=45", "--threads", threads, "--sink", f"jsonl:{out}")
        assert said.returncode == 0, said.stderr
        assert ("3 pictures at a time" in said.stderr) == (threads == 3)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [row["seq"] for row in rows] == list(range(45))
        found[threads] = [row["detections"] for row in rows]
    assert found[1] == found[3]
    assert any(found[1])
