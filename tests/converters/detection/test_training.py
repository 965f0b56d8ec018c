"""A detector from nothing, by the shipped recipe: killed on the way, judged at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converters.work import Work
from edgecam import contract

pytestmark = pytest.mark.convert

COMMAND = [sys.executable, "-c", "from converters.cli import main; main()", "run", "shapes", "--work"]


def test_shapes_are_learnt_and_found_by_the_int8_file(tmp_path: Path) -> None:
    work = Work(tmp_path)
    child = subprocess.Popen([*COMMAND, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    state, end = work.path("trained/state.npz"), time.monotonic() + 300
    while not state.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    _, said = child.communicate()
    assert state.exists(), said

    done = subprocess.run([*COMMAND, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "data: done already" in done.stderr
    assert "training goes on after epoch" in done.stderr
    figures = work.figures("evaluate")
    assert figures is not None
    accuracy = {name: model["accuracy"]["ap50"] for name, model in figures["models"].items()}
    assert set(accuracy) == {"float", "int8"}
    assert min(accuracy.values()) >= 0.9, accuracy
    spec = contract.read(work.path("shapes.tflite"))
    assert spec is not None
    assert spec.task == "detect"
    assert set(spec.labels) == {"cross", "disc", "triangle"}
    page = work.path("report.html").read_text(encoding="utf-8")
    assert "validation pictures, AP50" in page
