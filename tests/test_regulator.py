"""The governor's decisions carried out: on a fake sysfs, in the pipeline, and in a real run."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import build, build_model, build_run, journal, regulator
from edgecam.board import Board
from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.errors import ModelError, UsageError
from edgecam.governor import Limits
from edgecam.model import Model
from edgecam.regulator import Regulator
from edgecam.types import Frame, Packet, Status
from tests.test_board import board, write
from tests.test_capture import ScriptedSource
from tests.test_pipeline import SPEC, ListSink, ListSource, ToyEngine, ToyHead, ToyPreprocessor, make

QUICK = Limits(80.0, notice=0.0, dwell=2.0, calm=4.0, longest=8.0, proof=0.0)
SIZE = (1280, 720)


def heat(root: Path, celsius: float) -> None:
    write(
        root,
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": int(celsius * 1000),
        },
    )


class Run:
    """A regulator on a board of files, with a clock moved by hand; notes what is done."""

    def __init__(self, root: Path, models: tuple[str, ...] = ("small",), fail: str = "") -> None:
        self.root = root
        self.now = 100.0
        self.done: list[str] = []
        self.told: list[str] = []
        self.fail = fail
        self.loading = ""
        self.loads = self.left = 0  # how often a model is asked for before it is there
        self.regulator = Regulator(
            board(root),
            QUICK,
            self.told.append,
            resize=lambda size: self.done.append(f"size {size}"),
            models=models,
            change_model=self.change_model,
            model_pending=self.model_pending,
        )

    def change_model(self, name: str) -> None:
        self.loading = name
        self.left = self.loads

    def model_pending(self) -> bool:
        if self.left:
            self.left -= 1
            return True
        if self.fail and self.loading == self.fail:
            raise ModelError(f"{self.loading}: no such file")
        self.done.append(f"model {self.loading}")
        return False

    def hold(self, celsius: float, seconds: int, rate: float = 20.0, latency: float = 0.0) -> Run:
        heat(self.root, celsius)
        for _ in range(seconds):
            self.regulator.look(self.now, SIZE, latency, rate)
            self.now += 1
        return self


def test_steps_down_and_back_up_again(tmp_path: Path) -> None:
    run = Run(tmp_path).hold(60, 5)
    assert (run.regulator.level, run.regulator.words, run.regulator.temperature) == (0, "", 60.0)
    pauses = []
    for _ in range(3):
        run.hold(85, 2, rate=20.0 if not pauses else 5.0)
        pauses.append(run.regulator.pause)
    # Shares are of the full rate, as it was before the first step.
    assert pauses == [0.1, 0.2, 0.2]
    assert run.done == ["size 640x360"]
    assert run.regulator.words == "a quarter of the inference rate, pictures of 640x360: 80 °C reached"
    run.hold(85, 10)
    assert run.done == ["size 640x360", "model small"]
    assert run.regulator.level == 4
    run.hold(60, 40)
    assert run.done == ["size 640x360", "model small", "model ", "size "]
    assert (run.regulator.level, run.regulator.pause, run.regulator.words) == (0, 0.0, "")
    assert run.told[0] == "governor steps down to half the inference rate (80 °C reached)"
    assert len(run.told) == 8


def test_it_looks_once_a_second(tmp_path: Path) -> None:
    heat(tmp_path, 60)
    steered = Run(tmp_path).regulator
    steered.look(100.0, SIZE, 0.0, 20.0)
    heat(tmp_path, 70)
    steered.look(100.9, SIZE, 0.0, 20.0)
    assert steered.temperature == 60.0
    steered.look(101.0, SIZE, 0.0, 20.0)
    assert steered.temperature == 70.0


def test_a_model_that_cannot_be_is_said_and_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path, models=("absent", "small"), fail="absent").hold(85, 30)
    assert run.done == ["size 640x360", "model small"]
    assert "governor: model absent is not possible: absent: no such file" in run.told
    assert "absent" not in run.regulator.words
    assert run.regulator.level == 4


def test_while_another_model_loads_no_step_is_taken_and_the_heat_is_still_read(tmp_path: Path) -> None:
    run = Run(tmp_path, models=("small", "tiny"))
    run.loads = 100
    run.hold(85, 60)
    assert run.done == ["size 640x360"] and run.regulator.level == 4
    run.hold(90, 20)
    assert run.regulator.temperature == 90.0 and run.regulator.level == 4
    run.left = run.loads = 0
    run.hold(85, 10)
    assert run.done == ["size 640x360", "model small", "model tiny"]


def test_a_rate_under_the_floor_is_left_alone(tmp_path: Path) -> None:
    assert Run(tmp_path).hold(85, 4, rate=0.5).regulator.pause == 0.0
    assert Run(tmp_path).hold(85, 4, rate=1.5).regulator.pause == 1.0


def test_under_voltage_counts_as_heat_does(tmp_path: Path) -> None:
    write(tmp_path, {"sys/class/hwmon/hwmon0/name": "rpi_volt", "sys/class/hwmon/hwmon0/in0_lcrit_alarm": 1})
    run = Run(tmp_path).hold(50, 2)
    assert run.regulator.words == "half the inference rate: under-voltage"


def test_the_journal_gets_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int, dict[str, str]]] = []

    def send(text: str, priority: int, fields: dict[str, str]) -> bool:
        sent.append((text, priority, fields))
        return True

    monkeypatch.setattr(journal, "send", send)
    run = Run(tmp_path).hold(85, 2).hold(60, 10)
    assert run.told == []
    (down, warning, fields), (_, notice, back) = sent
    assert down == "governor steps down to half the inference rate (80 °C reached)"
    assert (warning, notice) == (journal.WARNING, journal.NOTICE)
    assert fields == {
        "EDGECAM_GOVERNOR": "down",
        "EDGECAM_GOVERNOR_STEP": "rate",
        "EDGECAM_GOVERNOR_LEVEL": "1",
        "EDGECAM_TEMPERATURE": "85.0",
    }
    assert (back["EDGECAM_GOVERNOR"], back["EDGECAM_GOVERNOR_LEVEL"]) == ("up", "0")


def test_where_nothing_can_be_read_nothing_is_regulated(tmp_path: Path) -> None:
    def make(limits: Limits) -> Regulator | None:
        rest: dict[str, Any] = {"resize": None, "models": (), "change_model": print, "model_pending": bool}
        return regulator.make(board(tmp_path), limits, print, **rest)

    assert make(Limits()) is None
    assert make(Limits(latency=100.0)) is not None
    heat(tmp_path, 50)
    assert make(Limits()) is not None
    assert make(Limits(temperature=0.0)) is None


# In the pipeline


class Stub(Regulator):
    """A regulator that does what the test says."""

    def __init__(self, act: Callable[[int], bool], words: str = "half the inference rate: hot") -> None:
        super().__init__(Board(Path("/absent"), Path("/absent"), "no-such"), QUICK, print)
        self.act = act
        self.looks = 0
        self.said = ""
        self._says = words
        self.seen: list[tuple[tuple[int, int], float]] = []

    @property
    def words(self) -> str:
        return self.said

    def look(self, now: float, size: tuple[int, int], latency: float, rate: float) -> bool:
        self.looks += 1
        self.seen.append((size, latency))
        changed = self.act(self.looks)
        if changed:
            self.said = "" if self.said else self._says
        return changed


def toy(name: str) -> Model:
    return Model(replace(SPEC, name=name), ToyPreprocessor(), ToyEngine(), ToyHead())  # type: ignore[arg-type]


def frames(count: int) -> list[Any]:
    return [Frame(i, np.zeros((48, 64, 3), np.uint8)) for i in range(count)]


def test_a_pause_is_kept_and_said() -> None:
    def act(look: int) -> bool:
        stub.pause = 1000.0
        if look == 3:
            pipeline.stop("enough")
        return look == 1

    stub = Stub(act)
    statuses: list[Status] = []
    pipeline = make(ListSource(frames(3)), regulator=stub, watch=lambda status, work: statuses.append(status))
    report = pipeline.run()
    assert report.frames == 1
    assert stub.seen[0][0] == (64, 48)
    assert stub.seen[0][1] > 0
    assert statuses[-1].state == "degraded"
    assert statuses[-1].words == "degraded (half the inference rate: hot)"


def test_the_last_frame_is_not_lost_to_a_pause() -> None:
    stub = Stub(lambda look: False)
    stub.pause = 0.3
    sink = ListSink()
    make(ListSource(frames(3)), sink, regulator=stub).run()
    assert [packet.frame.seq for packet in sink.packets] == [0, 1, 2]


def test_it_runs_again_when_nothing_is_taken_any_more() -> None:
    stub = Stub(lambda look: look in (2, 4))
    sink = ListSink()
    make(ListSource(frames(6)), sink, regulator=stub).run()
    assert [packet.status.state for packet in sink.packets] == [
        "running",
        "running",
        "degraded",
        "degraded",
        "running",
        "running",
    ]


def test_another_model_from_the_next_frame_on() -> None:
    def act(look: int) -> bool:
        if look == 2:
            pipeline.use(other)
        return False

    first, other = ToyEngine(), toy("other")
    closed: list[str] = []
    first.close = lambda: closed.append("first")  # type: ignore[method-assign]
    sink = ListSink()
    pipeline = make(ListSource(frames(4)), sink, engine=first, regulator=Stub(act))
    pipeline.run()
    assert [packet.status.model for packet in sink.packets] == ["toy", "toy", "other", "other"]
    assert closed == ["first"]
    assert pipeline.model is other


def test_a_source_is_opened_anew_at_another_size_without_being_lost() -> None:
    size = ""
    sizes: list[str] = []
    sources: list[ScriptedSource] = []

    def renew() -> ScriptedSource:
        sizes.append(size)
        # It waits in a read, as a camera does, until it is closed.
        closed = threading.Event()
        source = ScriptedSource([0, 1, lambda: closed.wait(30) and None], live=True)
        source.close = closed.set  # type: ignore[method-assign]
        sources.append(source)
        return source

    capture = Capture(renew(), renew=renew)
    capture.reopen("too early to do anything")
    assert len(sources) == 1
    capture.start()
    first = capture.slot.take(30)
    assert first is not None
    size = "640x360"
    capture.reopen("opening with pictures of 640x360")
    while (frame := capture.slot.take(30)) is not None and frame.seq < 2:
        pass
    assert frame is not None  # numbers go on where they were
    assert sizes == ["", "640x360"]
    assert capture.source is sources[1]
    assert (capture.lost, capture.hopeless, capture.ended) == (0, False, False)
    capture.stop()
    assert capture.left_behind == 0


# A real run


def test_a_hot_board_runs_slower_then_smaller_then_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundled detector on a synthetic camera, a board of files: heat comes, and goes once it helped."""
    heat(tmp_path, 90)
    monkeypatch.setattr(build_run, "Board", lambda: board(tmp_path))
    monkeypatch.setattr(build_run, "Limits", partial(Limits, notice=0.0, dwell=0.3, calm=0.3, proof=0.0))
    monkeypatch.setattr(regulator, "EVERY", 0.05)
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if "model face" in line and "steps down" in line:
            heat(tmp_path, 40)
        if "gives back half" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "out.jsonl"
    settings = Settings(
        source="synthetic:?size=320x240&fps=30",
        model_ladder=("face",),
        sinks=(f"jsonl:{out}",),
        duration=60.0,
        max_temperature=80.0,
    )
    result = build.run(settings, report)
    assert result.reason == "SIGTERM"
    told = [line.partition(" (")[0] for line in lines if line.startswith("governor")]
    assert told == [
        "governor steps down to half the inference rate",
        "governor steps down to a quarter of the inference rate",
        "governor steps down to model face",
        "governor gives back model face",
        "governor gives back a quarter of the inference rate",
        "governor gives back half the inference rate",
    ]
    states = [json.loads(line)["state"] for line in out.read_text().splitlines()]
    assert {"running", "degraded"} == set(states)
    assert "degraded (half the inference rate: 80 °C reached)" in lines


def test_a_model_that_takes_long_to_load_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames go on through the old model while the smaller one loads, and the watchdog is fed for them."""
    heat(tmp_path, 90)
    monkeypatch.setattr(build_run, "Board", lambda: board(tmp_path))
    monkeypatch.setattr(build_run, "Limits", partial(Limits, notice=0.0, dwell=0.1, calm=60.0))
    monkeypatch.setattr(regulator, "EVERY", 0.05)
    seen: list[str] = []
    enough, load = threading.Event(), build.load_model

    def slowly(settings: Settings, *more: Any) -> Model:
        if settings.model == "face":
            assert enough.wait(60)
        return load(settings, *more)

    monkeypatch.setattr(build_model, "load_model", slowly)

    class Watch(build.Service):
        def watch(self, status: Status, work: int) -> None:
            super().watch(status, work)
            if "model face" in status.message:
                seen.append(status.model)
                if len(set(seen)) == 1 and len(seen) > 4:
                    enough.set()
                if status.model == "face":
                    os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(build, "Service", Watch)
    settings = Settings(
        source="synthetic:?size=320x240&fps=30",
        model_ladder=("face",),
        sinks=("jsonl:/dev/null",),
        duration=60.0,
        max_temperature=80.0,
    )
    assert build.run(settings, lambda line: None).reason == "SIGTERM"
    assert seen[:5] == ["detect-coco"] * 5 and seen[-1] == "face"


def test_a_ladder_of_another_kind_is_refused_at_the_start() -> None:
    settings = Settings(source="synthetic:", model_ladder=("classify-person",), sinks=("jsonl:-",))
    with pytest.raises(UsageError, match="classify-person does not fit detect-coco"):
        build.run(settings, print)


def test_a_governor_that_is_off_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Board:
        raise AssertionError("the board was read")

    monkeypatch.setattr(build_run, "Board", refuse)
    settings = Settings(
        source="synthetic:?size=320x240",
        model="face",
        governor=False,
        max_frames=2,
        sinks=("jsonl:/dev/null",),
    )
    assert build.run(settings, lambda line: None).frames == 2


def test_a_status_knows_heat_and_steps() -> None:
    assert {"temperature", "steps_down"} <= set(Status().as_dict())
    assert Packet(frames(1)[0], None, (), Status(temperature=61.26)).status.as_dict()["temperature"] == 61.26
