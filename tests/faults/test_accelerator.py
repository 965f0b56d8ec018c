"""The whole program while its accelerator crashes, hangs or is gone: results go on."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecam import resources
from tests.e2e.command import Running

MODEL = resources.folder("models") / "classify-person.tflite"


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


class Watched:
    """A run, its status and its results."""

    def __init__(self, run: Running, results: Path) -> None:
        self.run = run
        self.url = run.url()
        self._results = results

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/status", timeout=10) as answer:
            status: dict[str, Any] = json.load(answer)["status"]
        return status

    def state(self, wanted: str) -> dict[str, Any]:
        """The status once it is that."""
        wait_for(lambda: self.status()["state"] == wanted, f"it never was {wanted}")
        return self.status()

    def results_go_on(self) -> None:
        before = self._results.stat().st_size
        wait_for(lambda: self._results.stat().st_size > before, "no results come")


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
        watched = Watched(run, results)
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
        watched = Watched(run, results)
        assert "crashed" in watched.state("degraded")["message"]
        watched.results_go_on()
        assert run.end(signal.SIGTERM) == 0
