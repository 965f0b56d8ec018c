"""The work folder: figures, fingerprints, and that two runs do not meet in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converters.work import Work, fingerprint
from edgecam.errors import EdgecamError, UsageError


def test_a_step_is_done_until_its_fingerprint_changes(tmp_path: Path) -> None:
    work = Work(tmp_path / "new")
    assert work.figures("quantize") is None
    assert not work.done("quantize", "a")
    work.finish("quantize", "a", {"size": 3})
    assert work.figures("quantize") == {"size": 3}
    assert work.done("quantize", "a")
    assert not work.done("quantize", "b")
    work.forget("quantize")
    assert not work.done("quantize", "a")


def test_a_step_is_done_while_its_files_are_there(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.path("int8.tflite").write_bytes(b"model")
    work.finish("quantize", "a", {}, ["int8.tflite"])
    assert work.done("quantize", "a")
    work.path("int8.tflite").unlink()
    assert not work.done("quantize", "a")


def test_the_fingerprint_follows_options_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("same")
    two.write_text("same")
    seen = {
        fingerprint("data", {"seed": 0}, [one]),
        fingerprint("data", {"seed": 1}, [one]),
        fingerprint("quantize", {"seed": 0}, [one]),
        fingerprint("data", {"seed": 0}, [two]),
        fingerprint("data", {"seed": 0}, [tmp_path / "none"]),
        fingerprint("data", {"seed": 0}, []),
    }
    assert len(seen) == 6
    before = fingerprint("data", {"a": 1, "b": Path("x")}, [one])
    assert fingerprint("data", {"b": Path("x"), "a": 1}, [one]) == before
    one.write_text("more")
    assert fingerprint("data", {"a": 1, "b": Path("x")}, [one]) != before


def test_the_fingerprint_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.jpg").write_bytes(b"1")
    before = fingerprint("data", {}, [folder])
    assert fingerprint("data", {}, [folder]) == before
    (folder / "cat" / "2.jpg").write_bytes(b"2")
    added = fingerprint("data", {}, [folder])
    assert added != before
    os.utime(folder / "cat" / "1.jpg", (1, 1))
    assert fingerprint("data", {}, [folder]) != added


def test_a_work_folder_may_move(tmp_path: Path) -> None:
    one, other = Work(tmp_path / "one"), Work(tmp_path / "far" / "other")
    marks = [
        work.fingerprint("prune", {"model": str(work.path("trained.keras")), "teacher": "itself"}, [])
        for work in (one, other)
    ]
    assert marks[0] == marks[1]
    assert marks[0] != one.fingerprint("prune", {"model": str(tmp_path / "trained.keras")}, [])
    assert one.fingerprint("prune", {"model": str(other.path("trained.keras"))}, []) != marks[0]
    here = Work(Path())
    assert here.fingerprint("a", {"by": "l1"}, []) == fingerprint("a", {"by": "l1"}, [])


def test_damaged_figures_are_named(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.write_json("figures/data.json", {})
    work.path("figures/data.json").write_text("{half")
    with pytest.raises(EdgecamError, match=r"figures/data\.json cannot be read .*delete it"):
        work.figures("data")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        Work(tmp_path).alone(),
        pytest.raises(UsageError, match="another run is at work"),
        Work(tmp_path).alone(),
    ):
        pass
    with Work(tmp_path).alone():
        pass


def test_what_a_killed_run_has_left_is_removed(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.finish("data", "a", {})
    left = [tmp_path / ".int8.tflite.x7f3", tmp_path / "figures" / ".data.json.k2"]
    for path in left:
        path.write_bytes(b"half")
    with work.alone():
        assert not any(path.exists() for path in left)
        left[0].write_bytes(b"half")
    assert not left[0].exists()
    assert work.done("data", "a")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(EdgecamError, match="--work"), Work(file / "below").alone():
        pass
