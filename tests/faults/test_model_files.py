"""Model files are untrusted: damaged ones never bring the service down.

``python -m tests.faults.fuzz`` tries many more. It forks, so here it runs in a process of its own: a child
of a process with threads may hang in a lock that one of them held.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgecam.engines import probe, runtimes, session
from edgecam.errors import EngineError
from edgecam.types import Array
from tests.engines import writer

COUNT = 80
ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(home), "PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_damaged_files_are_refused_or_run(tmp_path: Path) -> None:
    fuzz = python(
        "-m", "tests.faults.fuzz", "--count", COUNT, "--seed", 11, "--keep", tmp_path / "kept", home=tmp_path
    )
    assert fuzz.returncode == 0, fuzz.stdout + fuzz.stderr
    rows = [[int(n) for n in re.findall(r"(\d+) \|", line)] for line in fuzz.stdout.splitlines()[3:]]
    refused, by_the_trial, runs, findings = (sum(column) for column in zip(*rows, strict=True))
    assert refused + by_the_trial + runs == COUNT and not findings
    assert refused > COUNT // 4  # the damage is damage
    assert runs > COUNT // 10  # and not so coarse that nothing gets past the verifier


CHILDREN = """
import os, signal
from tests.faults.modelfuzz import in_child

assert in_child(lambda: "alive") == "alive"
assert in_child(lambda: str(os.kill(os.getpid(), signal.SIGSEGV))) is None
assert in_child(lambda: str(signal.pause()), limit=0.2) is None
"""


def test_a_crash_in_the_trial_is_seen(tmp_path: Path) -> None:
    done = python("-c", CHILDREN, home=tmp_path)
    assert done.returncode == 0, done.stderr


CONFINED = """
import pathlib, sys
from edgecam.engines import probe

probe.confine()
try:
    bytearray(2**46)
except MemoryError:
    print("no memory")
try:
    pathlib.Path(sys.argv[1]).write_bytes(b"x" * 2**22)
except OSError:
    print("no room")
"""


def test_the_trial_can_fill_no_disk_and_take_no_more_memory_than_there_is(tmp_path: Path) -> None:
    done = python("-c", CONFINED, tmp_path / "written", home=tmp_path)
    assert done.stdout.split("\n") == ["no memory", "no room", ""], done.stderr
    assert (tmp_path / "written").stat().st_size <= 2**20


def test_a_model_is_tried_on_more_than_black(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails on white only is found by the trial, not by the first sunny frame."""
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.quantizer(0.5, 10, writer.UINT8, 48).write())
    run = session.Session.run

    def failing_on_white(self: session.Session, tensor: Array) -> list[Array]:
        if tensor.min() == 255:
            raise EngineError("white")
        return run(self, tensor)

    monkeypatch.setattr(session.Session, "run", failing_on_white)
    with pytest.raises(EngineError, match="white"):
        probe.attempt(next(runtimes.available("auto")), path, 1, "", {})
