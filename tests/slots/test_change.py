"""Models changed in a run of the real main loop, with models small enough to steer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import pipeline as pipeline_module
from edgecam.capture import Capture
from edgecam.errors import EngineError, ModelError
from edgecam.model import Model
from edgecam.pipeline import Pipeline
from edgecam.slots import change
from edgecam.slots.keeper import Keeper
from edgecam.slots.orders import Desk, Order, Plan, Progress
from edgecam.slots.state import STARTS, Slot
from edgecam.slots.store import Store
from edgecam.types import Frame, Packet, Status
from tests.test_pipeline import SPEC, ListSink, ToyEngine, ToyHead, ToyPreprocessor

QUICK = Plan(shadow=0.2, trial=0.2)


class Engine(ToyEngine):
    """Fails, dawdles or is wrong as told."""

    def __init__(self, name: str, fail_after: float = 1e9, seconds: float = 0.0, wrong: bool = False) -> None:
        super().__init__()
        self.name = name
        self.fail_after, self.seconds, self.wrong = fail_after, seconds, wrong
        self.closed = False

    def infer(self, tensor: Any) -> Sequence[Any]:
        assert not self.closed, f"{self.name} is closed"
        if self.calls >= self.fail_after:
            raise EngineError(f"{self.name} is broken")
        time.sleep(self.seconds)
        found = super().infer(tensor)
        return [found[0][:, ::-1]] if self.wrong else found

    def close(self) -> None:
        self.closed = True


def model(name: str, **more: Any) -> Model:
    labels = more.pop("labels", SPEC.labels)
    task = more.pop("task", SPEC.task)
    spec = replace(SPEC, name=name, labels=labels, task=task)
    head = ToyHead()
    head.threshold = 0.0  # type: ignore[attr-defined]
    return Model(spec, ToyPreprocessor(), Engine(name, **more), head)  # type: ignore[arg-type]


class Camera:
    """A live source that gives a frame as soon as the one before it was taken, until it is told to stop."""

    live, name, total, broken = True, "camera", None, 0

    def __init__(self, taken: Callable[[], int]) -> None:
        self.over = threading.Event()
        self._taken = taken
        self._seq = 0
        self._picture = np.full((4, 4, 3), 200, np.uint8)

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        while self._taken() < self._seq and not self.over.is_set():
            time.sleep(0.001)
        time.sleep(0.004)
        if self.over.is_set():
            return None
        self._seq += 1
        return Frame(self._seq - 1, self._picture)

    def close(self) -> None: ...


class Bench:
    """A run with installed models; what each is made of is in ``models``."""

    def __init__(self, folder: Path, **models: Callable[[], Model]) -> None:
        self.store = Store(folder)
        self.models = {"base": lambda: model("base"), **models}
        self.made: dict[str, list[Model]] = {}
        self.sha: dict[str, str] = {"base": ""}
        self.said: list[str] = []
        self.told: list[Progress] = []
        self.trouble = ""  # that comes with the trial
        self.sink = ListSink()
        for name in models:
            if all(slot.name != name for slot in self.store.read().slots):
                digest = self.store.put(name.encode())
                self.store.change(lambda state, n=name, d=digest: state.install(Slot(n, d, 1, n)))  # type: ignore[misc]
            self.sha[name] = self.store.read().find(name)

    def load(self, path: Path | None) -> Model:
        name = "base" if path is None else next(n for n, sha in self.sha.items() if sha == path.stem)
        made = self.models[name]()
        self.made.setdefault(name, []).append(made)
        return made

    def run(self, *orders: Order, seconds: float = 20.0) -> list[Packet]:
        """Run until all orders have ended, or without any until a trial is over."""
        camera = Camera(lambda: len(self.sink.packets))
        self.keeper = keeper = Keeper(self.store, "base", self.load, self.said.append)
        assert keeper.open()
        self.left = list(orders)
        self.desk = Desk(self.store)
        deadline = time.monotonic() + seconds
        self.current: Order | None = None
        self._enough = 20  # packets, then three more with what the last order has left in use

        def watch(status: Status, work: int) -> None:
            if self.trouble and self.store.read().trial is not None:
                pipeline.impaired["board"] = self.trouble
            keeper.tend(status)
            self._follow(camera)
            if time.monotonic() > deadline:
                camera.over.set()

        capture = Capture(camera)
        capture.start()
        first = keeper.first()
        self.pipeline = pipeline = Pipeline(
            capture, first, [self.sink], report=self.said.append, watch=watch, understudy=keeper
        )
        keeper.attach(pipeline)
        try:
            pipeline.run()
        finally:
            keeper.close()
            pipeline.model.engine.close()
        assert time.monotonic() < deadline, (self.told, self.said)
        return self.sink.packets

    def _follow(self, camera: Camera) -> None:
        now = self.desk.progress()
        if now is not None and self.current is not None and now.id == self.current.id:
            if not self.told or self.told[-1] != now:
                self.told.append(now)
            if now.over:
                self.current, self._enough = None, len(self.sink.packets) + 3
        if self.current is None:
            if self.left:
                self.current = self.left.pop(0)
                self.desk.place(self.current)
            elif self.store.read().trial is None and len(self.sink.packets) >= self._enough:
                camera.over.set()

    def names(self) -> list[str]:
        """The models that made the results, in order."""
        return list(dict.fromkeys(p.status.model for p in self.sink.packets))

    def all_seen(self) -> bool:
        """No frame was dropped, none came twice."""
        return [p.frame.seq for p in self.sink.packets] == list(range(len(self.sink.packets)))

    def end(self) -> Progress:
        return self.told[-1]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "TICK", 0.02)
    monkeypatch.setattr(change, "STEADY", 0.1)
    # A model of nothing waits for Python's lock more than it works: on a busy machine up to some 10 ms.
    monkeypatch.setattr(change, "FAST", 100.0)


@pytest.fixture
def _slowness_counts(monkeypatch: pytest.MonkeyPatch, _quick: None) -> None:
    monkeypatch.setattr(change, "FAST", 5.0)


def activate(bench: Bench, name: str, plan: Plan = QUICK) -> Order:
    return Order.new("activate", bench.sha[name], plan)


def test_a_model_goes_through_shadow_and_trial_and_no_frame_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"))
    bench.run(activate(bench, "door"))
    assert [step.stage for step in bench.told] == ["loading", "shadow", "trial", "done"]
    assert bench.names() == ["base", "door"] and bench.all_seen()
    figures = bench.end().figures
    assert figures["agreement"] == 1.0 and figures["frames"] >= change.ENOUGH
    state = bench.store.read()
    assert state.active == bench.sha["door"] and state.trial is None and state.base == "base"
    assert bench.made["base"][0].engine.closed  # type: ignore[attr-defined]
    again = Bench(tmp_path, door=lambda: model("door"))
    again.run()
    assert again.names() == ["door"]


def test_a_model_that_fails_in_its_trial_is_taken_back_within_the_frame(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door", fail_after=60))
    bench.run(activate(bench, "door", Plan(shadow=0.0, trial=30.0)))
    assert bench.end().stage == "rolled back" and "door is broken" in bench.end().message
    assert bench.names() == ["base", "door"] and bench.all_seen()
    assert [p.status.model for p in bench.sink.packets][-1] == "base"
    state = bench.store.read()
    assert state.active == "" and "door is broken" in state.refused[bench.sha["door"]]
    assert bench.made["door"][0].engine.closed  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_slowness_counts")
def test_a_slow_model_is_refused_by_its_shadow(tmp_path: Path) -> None:
    slow = Bench(
        tmp_path, base=lambda: model("base", seconds=0.002), door=lambda: model("door", seconds=0.02)
    )
    slow.sha["base"] = ""
    slow.run(activate(slow, "door"))
    assert slow.end().stage == "refused" and "is too slow" in slow.end().message
    assert slow.names() == ["base"] and slow.all_seen() and slow.store.read().active == ""


@pytest.mark.usefixtures("_slowness_counts")
def test_a_model_that_gets_slow_in_its_trial_is_taken_back(tmp_path: Path) -> None:
    slow = Bench(
        tmp_path, base=lambda: model("base", seconds=0.002), door=lambda: model("door", seconds=0.02)
    )
    slow.sha["base"] = ""
    slow.run(activate(slow, "door", Plan(shadow=0.0, trial=30.0)))
    assert slow.end().stage == "rolled back" and "the one before took" in slow.end().message
    assert slow.all_seen()


def test_a_model_that_sees_other_things_is_refused_if_agreement_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door", wrong=True))
    bench.run(activate(bench, "door", replace(QUICK, agreement=0.5)), activate(bench, "door"))
    ends = [step for step in bench.told if step.over]
    assert [step.stage for step in ends] == ["refused", "done"]
    assert "sees other things" in ends[0].message and "0% agreement" in ends[0].message


def test_a_model_that_fails_in_its_shadow_harms_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door", fail_after=3))
    bench.run(activate(bench, "door"))
    assert bench.end().stage == "refused" and "failed on a live frame" in bench.end().message
    assert bench.names() == ["base"] and bench.all_seen()


def test_a_run_that_gets_worse_goes_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"))
    bench.trouble = "the board is too hot"
    bench.run(activate(bench, "door", Plan(shadow=0.0, trial=30.0)))
    assert bench.end().stage == "rolled back" and "the board is too hot" in bench.end().message
    assert bench.all_seen()


def test_the_one_before_comes_back_when_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"), gate=lambda: model("gate"))
    bench.run(
        activate(bench, "door"), activate(bench, "gate"), Order.new("rollback"), activate(bench, "base")
    )
    assert [step.stage for step in bench.told if step.over] == ["done"] * 4, bench.told
    assert [p.status.model for p in bench.sink.packets][-1] == "base" and bench.all_seen()


def test_what_is_in_use_or_of_another_kind_or_broken_is_refused(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, other=lambda: model("other", task="detect"), rotten=lambda: model("rotten"), none=_raise
    )
    bench.store.path(bench.sha["rotten"]).write_bytes(b"rot")
    bench.run(*(activate(bench, name) for name in ("base", "other", "rotten", "none")))
    ends = [step.message for step in bench.told if step.over]
    assert [step.stage for step in bench.told if step.over] == ["refused"] * 4
    for end, words in zip(
        ends, ("in use already", "is there to detect", "changed or is damaged", "no memory"), strict=True
    ):
        assert words in end
    assert bench.names() == ["base"] and bench.all_seen()


def _raise() -> Model:
    raise ModelError("no memory")


def test_other_labels_end_what_was_followed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door", labels=("bright", "dark")))
    bench.run(activate(bench, "door", replace(QUICK, agreement=0.0)))
    assert bench.end().stage == "done"
    assert {p.status.model: p.labels for p in bench.sink.packets} == {
        "base": ("dark", "bright"),
        "door": ("bright", "dark"),
    }


def test_a_trial_goes_on_after_a_restart_and_fails_there(tmp_path: Path) -> None:
    first = Bench(tmp_path, door=lambda: model("door"))
    first.store.change(lambda state: state.activate(first.sha["door"], "base").start())
    again = Bench(tmp_path, door=lambda: model("door", fail_after=40))
    again.run(seconds=10)
    assert again.names() == ["door", "base"] and again.all_seen()
    assert any("slot door was taken back: it failed" in line for line in again.said)


def test_who_waits_for_a_trial_hears_of_its_end_from_the_next_process(tmp_path: Path) -> None:
    first = Bench(tmp_path, door=lambda: model("door"))
    first.store.change(lambda state: state.activate(first.sha["door"], "base").start())
    desk = Desk(first.store)
    desk.tell(Progress("the order", "trial"))
    again = Bench(tmp_path, door=lambda: model("door", fail_after=40))
    again.run(seconds=10)
    last = desk.progress()
    assert last is not None and (last.id, last.stage) == ("the order", "rolled back")


def test_a_process_that_died_too_often_at_its_start_finds_the_old_model(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"))
    bench.store.change(lambda state: state.activate(bench.sha["door"], "base"))
    for _ in range(STARTS):
        keeper = Keeper(bench.store, "base", bench.load, bench.said.append)
        assert keeper.open() and keeper.first().name == "door"
        keeper._claim.close()  # type: ignore[union-attr] - as the kernel does it at a kill
    bench.run()
    assert bench.names() == ["base"]
    assert bench.said[0].startswith(f"slot door was taken back, settings is in use again: {STARTS} starts")


def test_a_slot_that_cannot_be_loaded_at_the_start_is_taken_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=_raise, gate=lambda: model("gate"))
    bench.store.change(lambda state: state.activate(bench.sha["gate"], "base").prove())
    bench.store.change(lambda state: state.activate(bench.sha["door"], "base"))
    bench.run()
    assert bench.names() == ["gate"] and bench.store.read().refused == {bench.sha["door"]: "no memory"}


def test_an_order_for_a_run_that_is_gone_is_not_carried_out_by_the_next(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"))
    Desk(bench.store).place(activate(bench, "door"))
    bench.run()
    assert bench.names() == ["base"] and Desk(bench.store).take() is None


def test_settings_that_name_another_model_win(tmp_path: Path) -> None:
    bench = Bench(tmp_path, door=lambda: model("door"))
    bench.store.change(lambda state: state.activate(bench.sha["door"], "another").prove())
    bench.run()
    assert bench.names() == ["base"] and "the settings name base now" in bench.said[0]
