"""Model files are untrusted: damaged ones never bring the service down.

``python -m tests.faults.fuzz`` tries many more.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from edgecam.engines import probe, runtimes, session
from edgecam.errors import EngineError
from edgecam.types import Array
from tests.engines import writer
from tests.faults import modelfuzz
from tests.faults.fuzz import fuzz

COUNT = 80


@pytest.fixture(scope="module")
def runtime() -> runtimes.Runtime:
    return next(runtimes.available("auto"))


def test_damaged_files_are_refused_or_run(
    tmp_path: Path, runtime: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fates: Counter[str] = Counter()
    for tried in fuzz(COUNT, 11, runtime, tmp_path):
        assert tried.fate.what != modelfuzz.FINDING, f"{tried.number} {tried.kind}: {tried.fate.detail}"
        fates[tried.fate.what] += 1
    assert fates["refused"] > COUNT // 4  # the damage is damage
    assert fates["runs"] > COUNT // 10  # and not so coarse that nothing gets past the verifier


def test_a_crash_in_the_trial_is_seen() -> None:
    assert modelfuzz.in_child(lambda: "alive") == "alive"
    assert modelfuzz.in_child(lambda: str(os.kill(os.getpid(), signal.SIGSEGV))) is None
    assert modelfuzz.in_child(lambda: str(signal.pause()), limit=0.2) is None


def test_the_trial_can_fill_no_disk_and_take_no_more_memory_than_there_is(tmp_path: Path) -> None:
    def write() -> str:
        probe.confine()
        return str((tmp_path / "written").write_bytes(b"x" * 2**22))

    def take() -> str:
        probe.confine()
        try:
            return str(len(bytearray(2**46)))
        except MemoryError:
            return "refused"

    assert modelfuzz.in_child(write) is None
    assert (tmp_path / "written").stat().st_size <= 2**20
    assert modelfuzz.in_child(take) == "refused"


def test_a_model_that_divides_by_its_input_is_tried_on_more_than_black(
    tmp_path: Path, runtime: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        probe.attempt(runtime, path, 1, "", {})
