"""edgecam bench --tune, and what edgecam run makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecam import bench, resources, tuned
from edgecam.board import Board
from edgecam.engines import runtimes
from tests.cli.conftest import Run

MODEL = "classify-person"
TUNE = ("bench", MODEL, "--tune", "--threads", "1", "--seconds", "0.3")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that choices are kept in."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "edgecam" / tuned.NAME


def run(edgecam: Run, tmp_path: Path, *flags: str) -> str:
    """What a short run says."""
    sink = f"jsonl:{tmp_path / 'out.jsonl'}"
    ran = edgecam(
        "run", "synthetic:?frames=3&live=yes&size=320x240", "--model", MODEL, "--sink", sink, *flags
    )
    assert ran.code == 0
    return ran.err


def keep(**change: Any) -> None:
    """A choice as if it had been measured, here or elsewhere."""
    sha256 = hashlib.sha256(resources.bundled_model(MODEL).read_bytes()).hexdigest()
    place = replace(tuned.Place.here(sha256, runtimes.installed("auto")), **change)
    tuned.keep(tuned.Choice(place, tuned.Setup(1), 99.0, 98.0, tuned.now()))


def test_what_is_best_is_shown_kept_and_used(
    edgecam: Run, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Board, "load", lambda self: 7.5)
    monkeypatch.setattr(bench, "cores", lambda: 8)
    assert "tuned" not in run(edgecam, tmp_path)
    ran = edgecam(*TUNE)
    assert ran.code == 0
    assert "1 thread" in ran.out and "CPU ms" in ran.out and "best" in ran.out
    assert f"edgecam run uses it from its next start on, unless --threads is given: {state}\n" in ran.err
    assert ran.err.count("this machine is busy (load 7.5 on ") == 1
    (choice,) = tuned.read(state)
    said = run(edgecam, tmp_path)
    assert f"tuned on {choice.measured[:10]}: {choice.setup.words}\n" in said
    assert f" on CPU x{choice.setup.threads} (tuned), " in said
    assert "tuned" not in run(edgecam, tmp_path, "--threads", "1")


def test_as_json(edgecam: Run, state: Path) -> None:
    found = json.loads(edgecam(*TUNE, "--json").out)
    assert found["file"] == str(state)
    assert {row["setup"]["threads"] for row in found["rows"]} >= {1}
    for row in found["rows"]:
        assert row["fps"] > 0 and row["cpu_ms"] > 0 and row["ms"] > 0 and row["gain"] > 0
    assert found["rows"][0]["gain"] == 1
    assert found["choice"]["setup"] in [row["setup"] for row in found["rows"]]
    assert found["choice"] == json.loads(state.read_text())["choices"][0]


def test_what_is_stale_is_said_once_and_left_out(edgecam: Run, tmp_path: Path) -> None:
    keep(cores=4096)
    said = run(edgecam, tmp_path)
    assert said.count("what was tuned is left out (it was with 4096 cores, now there are") == 1
    assert "(tuned)" not in said
    keep()
    assert "(tuned)" in run(edgecam, tmp_path)


def test_what_is_damaged_is_said_once_and_left_out(edgecam: Run, tmp_path: Path, state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_bytes(b"\0" * 20)
    said = run(edgecam, tmp_path)
    assert said.count(f"{state} is damaged and left out: edgecam bench --tune makes it anew\n") == 1
    assert "(tuned)" not in said
    keep()
    assert "(tuned)" in run(edgecam, tmp_path)


def test_a_folder_that_cannot_be_written_costs_no_measurement_unsaid(
    edgecam: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    ran = edgecam(*TUNE)
    assert ran.code == 1
    assert "cannot be written (" in ran.err and "edgecam run --threads " in ran.err
    assert ran.err.splitlines()[-1].startswith("edgecam: ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--service",), "--service goes with --tune"),
        (("--tune", "--runs", "5"), "--runs does not go with --tune"),
        (("--tune", "--service", "nobodys"), "edgecam@nobodys.service is not installed"),
        (("--tune", "--picture", "absent.jpg"), "absent.jpg"),
    ],
)
def test_what_cannot_be_tuned_is_said_in_one_line(edgecam: Run, flags: tuple[str, ...], said: str) -> None:
    ran = edgecam("bench", MODEL, *flags)
    assert ran.code in (1, 2)
    assert said in ran.err and ran.err.count("\n") == 1


def test_a_fake_engine_has_nothing_to_tune(edgecam: Run) -> None:
    ran = edgecam(*TUNE, "--engine", "fake")
    assert ran.code == 2
    assert "there are no threads to choose" in ran.err
