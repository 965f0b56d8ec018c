"""The service's own copy of the program: it runs, and a failure leaves nothing behind."""

from __future__ import annotations

import collections
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecam.errors import EdgecamError
from edgecam.install import environment as module
from edgecam.install import plan
from edgecam.install.environment import Environment, distributions, installed_files, service_python
from edgecam.install.layout import Layout
from edgecam.install.steps import apply

Usage = collections.namedtuple("Usage", "total used free")


def test_what_edgecam_needs_goes_along_and_nothing_else() -> None:
    names = {d.metadata["Name"].lower() for d in distributions()}
    assert {"edgecam", "numpy", "click", "opencv-python-headless", "uvicorn", "h11"} <= names
    assert {
        "tomlkit",
        "pynacl",
        "paho-mqtt",
        "aiortc",
        "av",
    } <= names  # extras of a device that are installed here
    assert not {"pytest", "mypy", "ruff", "hypothesis", "pygame-ce"} & names


def test_a_clone_is_laid_out_as_its_wheel() -> None:
    files = {str(relative) for relative, _ in installed_files()}
    assert "edgecam/__init__.py" in files and "edgecam/_data/systemd/edgecam.service" in files
    assert "edgecam/_data/models/detect-coco.tflite" in files
    assert not any(name.endswith(".pth") or "direct_url" in name for name in files)
    assert not any(name.startswith(("converters/", "tests/", "..")) for name in files)


def test_the_copy_runs_from_its_own_place(tmp_path: Path) -> None:
    copy = Environment(Layout(tmp_path), service_python())
    assert copy.needed()
    copy.apply()
    assert not copy.needed()
    run = [
        copy.path / "bin" / "edgecam",
        "run",
        "synthetic:?frames=2",
        "--engine",
        "fake",
        "--sink",
        "jsonl:-",
    ]
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/usr/bin:/bin"}
    )
    assert len(done.stdout.splitlines()) == 2
    where = [
        copy.path / "bin" / "python3",
        "-I",
        "-c",
        "import edgecam, cv2; print(edgecam.__file__, cv2.__file__)",
    ]
    said = subprocess.run(where, capture_output=True, text=True, check=True).stdout
    assert said.count(str(copy.path)) == 2
    assert not [p for p in copy.path.rglob("*") if not p.is_symlink() and not p.stat().st_mode & 0o004]


@pytest.fixture
def small(tmp_path: Path) -> Environment:
    """A copy of two files; trying it does not matter."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(name)
    files = {Path("edgecam/a.py"): tmp_path / "a.py", Path("edgecam/b.py"): tmp_path / "b.py"}
    return Environment(Layout(tmp_path / "root"), service_python(), files)


def test_the_same_program_has_the_same_name(small: Environment) -> None:
    twin = Environment(small.layout, small.python, dict(small.files))
    assert twin.identity == small.identity
    next(iter(small.files.values())).write_text("changed")
    assert Environment(small.layout, small.python, dict(small.files)).identity != small.identity


def test_no_room_is_said_before_anything_is_copied(
    small: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 1_000_000))
    with pytest.raises(EdgecamError, match="needs 50 MB, and 1 MB are free: make room"):
        small.apply()
    assert list(small.layout.versions.iterdir()) == []


def test_a_copy_that_does_not_run_is_not_kept(small: Environment) -> None:
    with pytest.raises(EdgecamError, match="copy of edgecam does not run"):
        small.apply()
    assert list(small.layout.versions.iterdir()) == []


def test_what_an_interrupted_copy_left_is_cleared_away(
    small: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = small.layout.versions / ".new-1"
    left.mkdir(parents=True)
    small.path.mkdir()  # half of one, without the mark of a whole
    monkeypatch.setattr(Environment, "_try", lambda *_: None)
    assert small.needed()
    small.apply()
    assert [p.name for p in small.layout.versions.iterdir()] == [small.identity]
    assert (small.path / module.COMPLETE).exists()


def test_an_upgrade_can_be_undone_and_done_again(small: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "_try", lambda *_: None)
    layout = small.layout
    apply(plan.program(small), print)
    next(iter(small.files.values())).write_text("a new version")
    newer = Environment(layout, small.python, dict(small.files))
    apply(plan.program(newer), print)
    assert (layout.current.readlink().name, layout.previous.readlink().name) == (
        newer.identity,
        small.identity,
    )
    apply(plan.back(layout), print)
    assert layout.current.readlink().name == small.identity
    apply(plan.back(layout), print)
    assert layout.current.readlink().name == newer.identity
    (layout.versions / "older").mkdir()
    apply(plan.tidy(layout), print)
    assert {p.name for p in layout.versions.iterdir()} == {newer.identity, small.identity}


def test_there_is_no_way_back_from_the_first(small: Environment) -> None:
    with pytest.raises(EdgecamError, match="no earlier version"):
        plan.back(small.layout)


def test_a_python_out_of_sight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HIDDEN", (Path("/"),))
    with pytest.raises(EdgecamError, match=r"cannot see it.*/usr/bin/python3 -m venv"):
        service_python()
