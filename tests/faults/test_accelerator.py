"""The whole program while its accelerator crashes, hangs or is gone: results go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from edgecam import resources
from tests.e2e.command import Running
from tests.faults.watched import Watched, children

MODEL = resources.folder("models") / "classify-person.tflite"


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP], ids=["crash", "hang"])
def test_its_process_crashes_or_hangs(standin: str, tmp_path: Path, signal_number: int) -> None:
    gone, results = tmp_path / "gone", tmp_path / "results.jsonl"
    delegate = f"{standin}?claim=all&gone={gone}"
    arguments = (
        "--model",
        MODEL,
        "--delegate",
        delegate,
        "--sink",
        "web:?port=0",
        "--sink",
        f"jsonl:{results}",
    )
    with Running("run", "synthetic:?fps=10", *arguments) as run:
        watched = Watched(run)
        assert "libstandin" in watched.state("running")["device"]
        (child,) = children(run.process.pid)
        gone.touch()
        os.kill(child, signal_number)
        status = watched.state("degraded")
        assert status["device"].startswith("CPU")
        assert "the CPU does its work" in status["message"]
        watched.results_go_on()
        gone.unlink()
        assert "libstandin" in watched.state("running")["device"]
        watched.results_go_on()
        assert run.end(signal.SIGTERM) == 0
        assert not Path(f"/proc/{child}").exists()


def test_it_crashes_at_every_start(standin: str, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    arguments = ("--model", MODEL, "--sink", "web:?port=0", "--sink", f"jsonl:{results}")
    with Running(
        "run", "synthetic:?fps=10", "--delegate", f"{standin}?claim=all&crash=create", *arguments
    ) as run:
        watched = Watched(run)
        assert "crashed" in watched.state("degraded")["message"]
        watched.results_go_on()
        assert run.end(signal.SIGTERM) == 0
