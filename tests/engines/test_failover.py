"""An accelerator that fails, hangs, crashes and comes back, while results go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.engines import apart, failover, litert
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import DelegateError, EngineError, ModelError
from tests.engines import writer
from tests.engines.conftest import compiled
from tests.helpers.waiting import until

pytestmark = pytest.mark.usefixtures("runtime")
Write = Callable[..., Path]
DEVICE, CPU = 7, 1  # what the stand-in answers, and what the model does


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "FIRST", 0.05)
    monkeypatch.setattr(failover, "LONGEST", 0.1)


@pytest.fixture
def load(write: Write, standin: str) -> Iterator[Callable[..., LiteRTEngine]]:
    """Makes engines on the stand-in, which takes over a model that the CPU can run too."""
    made: list[LiteRTEngine] = []

    def make(path: Path | None = None, require_delegate: bool = False, **options: str) -> LiteRTEngine:
        model = path or write(writer.identity(type=writer.UINT8, quant=(1.0, 0)))
        delegate_options = {"claim": "all", **options}
        made.append(
            LiteRTEngine(
                EngineOptions(
                    model,
                    threads=1,
                    delegate=standin,
                    delegate_options=delegate_options,
                    require_delegate=require_delegate,
                )
            )
        )
        return made[-1]

    yield make
    for engine in made:
        engine.close()
    assert not [t for t in threading.enumerate() if t.name == "edgecam-accelerator" and t.is_alive()]


def answer(engine: LiteRTEngine) -> int:
    (out, *_) = engine.infer(np.ones(engine.input.shape, engine.input.dtype))
    return int(out.reshape(-1)[0])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("fail", "the device is gone"), ("crash", "crashed under"), ("hang", "did not answer for 0.5 s")],
)
def test_the_cpu_takes_over_in_the_midst_of_a_run(
    load: Callable[..., LiteRTEngine], monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    monkeypatch.setattr(apart, "HANG", 0.5)
    monkeypatch.setattr(failover, "FIRST", 60)
    engine = load(**{fault: "3"})  # the first run is the warming up
    assert (engine.trouble, engine.device) == ("", "delegate libstandin.so")
    assert [answer(engine) for _ in range(4)] == [DEVICE, CPU, CPU, CPU]
    assert reason in engine.trouble
    assert "\n" not in engine.trouble
    assert engine.device == "CPU x1"


def test_it_goes_back_when_the_device_does(load: Callable[..., LiteRTEngine], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    engine = load(gone=str(gone))
    for _ in range(3):
        assert answer(engine) == DEVICE
        gone.touch()
        assert answer(engine) == CPU
        assert engine.trouble
        time.sleep(0.3)  # tried again in vain meanwhile
        assert answer(engine) == CPU
        gone.unlink()
        until("the accelerator is not taken back", lambda: answer(engine) == DEVICE)
        assert (engine.trouble, engine.device) == ("", "delegate libstandin.so")


def test_it_comes_up_without_the_device_and_takes_it_later(
    load: Callable[..., LiteRTEngine], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.touch()
    engine = load(gone=str(gone))
    assert answer(engine) == CPU
    assert "no such device" in engine.trouble
    gone.unlink()
    until("the accelerator is not taken", lambda: answer(engine) == DEVICE)


def test_one_that_crashes_again_and_again_is_tried_less_and_less(
    load: Callable[..., LiteRTEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after each start must not become a loop: results go on, and the pauses grow."""
    monkeypatch.setattr(failover, "LONGEST", 3600)
    pauses: list[float] = []
    come_back = failover.Failover._come_back

    def noted(self: failover.Failover, pause: float) -> None:
        pauses.append(pause)
        come_back(self, pause)

    monkeypatch.setattr(failover.Failover, "_come_back", noted)
    engine = load(crash="2")
    until("it gave up", lambda: answer(engine) in (DEVICE, CPU) and len(pauses) >= 4)
    assert pauses == [0.05 * 2**n for n in range(len(pauses))]


def test_the_twin_of_a_compiled_model(
    load: Callable[..., LiteRTEngine], write: Write, tmp_path: Path
) -> None:
    path = write(compiled(), "birds_edgetpu.tflite")
    engine = load(path, claim="edgetpu-custom-op", fail="3")
    answer(engine)
    with pytest.raises(DelegateError, match="the device is gone"):
        answer(engine)  # no twin
    write(writer.identity(type=writer.UINT8, quant=(1.0, 0)), "birds.tflite")
    other = load(path, claim="edgetpu-custom-op", fail="3")
    answer(other)
    with pytest.raises(ModelError, match="other inputs or outputs"):
        answer(other)


def test_require_delegate_means_that(load: Callable[..., LiteRTEngine]) -> None:
    engine = load(require_delegate=True, fail="3")
    answer(engine)
    with pytest.raises(DelegateError, match="the device is gone"):
        answer(engine)


def test_wrong_tensors_are_the_callers_fault_and_no_failure_of_the_device(
    load: Callable[..., LiteRTEngine],
) -> None:
    engine = load()
    for wrong in (np.zeros((1, 2, 3), np.uint8), np.zeros(engine.input.shape, np.float64)):
        with pytest.raises(EngineError, match="expected"):
            engine.infer(wrong)
    assert engine.trouble == ""
    assert answer(engine) == DEVICE


def test_closing_ends_the_process(load: Callable[..., LiteRTEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []

    class Noted(apart.ApartSession):
        def open(self) -> None:
            children.append(self._child.pid)
            super().open()

    monkeypatch.setattr(litert, "ApartSession", Noted)
    engine = load()
    fds = open_files()
    engine.close()
    engine.close()
    assert open_files() < fds
    (pid,) = children
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EngineError, match="closed"):
        engine.infer(np.zeros(engine.input.shape, engine.input.dtype))


def test_a_process_whose_parent_was_killed_ends_though_it_hangs(standin: str, write: Write) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from edgecam.engines.litert import LiteRTEngine; from edgecam.engines.base import EngineOptions\n"
        "engine = LiteRTEngine(EngineOptions(Path(sys.argv[1]), threads=1, delegate=sys.argv[2],"
        " delegate_options={'claim': 'all', 'hang': '2'}))\n"
        "print(engine._session._accelerator._child.pid, flush=True)\n"
        "engine.infer(np.zeros(engine.input.shape, engine.input.dtype))"
    )
    path = write(writer.identity(type=writer.UINT8, quant=(1.0, 0)))
    with subprocess.Popen([sys.executable, "-c", code, path, standin], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    def ended() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    until("the child outlives its parent", ended)


def test_many_failures_leak_nothing(load: Callable[..., LiteRTEngine], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    engine = load(gone=str(gone))
    answers: list[Any] = []
    before = open_files()
    for _ in range(4):
        gone.touch()
        answers.append(answer(engine))
        gone.unlink()
        until("not taken back", lambda: answer(engine) == DEVICE)
    assert answers == [CPU] * 4
    assert open_files() <= before
