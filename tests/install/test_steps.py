"""Changes to a machine, on a folder that stands for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgecam.errors import EdgecamError
from edgecam.install.steps import Command, File, Folder, Link, Prune, Records, Remove, apply


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "home" / "installed.json")


class TestFile:
    def test_written_once_and_up_to_date_then(self, tmp_path: Path, records: Records) -> None:
        step = File(tmp_path / "etc" / "a.toml", b"one", records, 0o640)
        said: list[str] = []
        assert apply([step], said.append) and not apply([step], said.append)
        assert said == [f"write {step.path}"]
        assert step.path.read_bytes() == b"one" and step.path.stat().st_mode & 0o777 == 0o640

    def test_an_old_one_is_replaced(self, tmp_path: Path, records: Records) -> None:
        path = tmp_path / "a.toml"
        File(path, b"one", records).apply()
        File(path, b"two", records).apply()
        assert path.read_bytes() == b"two"

    @pytest.mark.parametrize("beside", [True, False])
    def test_an_edited_one_is_kept(self, tmp_path: Path, records: Records, beside: bool) -> None:
        path = tmp_path / "a.toml"
        File(path, b"one", records).apply()
        path.write_bytes(b"mine")
        step = File(path, b"two", records, beside=beside)
        assert "it was edited" in str(step)
        assert "stays as it is" in step.apply()
        assert path.read_bytes() == b"mine"
        assert (tmp_path / "a.toml.new").exists() is beside

    def test_one_that_somebody_else_made_is_kept(self, tmp_path: Path, records: Records) -> None:
        path = tmp_path / "a.toml"
        path.write_bytes(b"theirs")
        File(path, b"ours", records).apply()
        assert path.read_bytes() == b"theirs"

    def test_lost_records_count_as_edited(self, tmp_path: Path, records: Records) -> None:
        path = tmp_path / "a.toml"
        File(path, b"one", records).apply()
        (tmp_path / "home" / "installed.json").write_text("{ half")
        File(path, b"two", records).apply()
        assert path.read_bytes() == b"one"

    def test_a_failure_leaves_what_was_there(
        self, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.toml"
        File(path, b"one", records).apply()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(EdgecamError, match=rf"cannot write {path} \(No space left on device\)"):
            apply([File(path, b"two", records)], print)
        assert path.read_bytes() == b"one"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.toml", "home"]


def test_a_link_is_changed_at_one_stroke(tmp_path: Path) -> None:
    step = Link(tmp_path / "current", Path("versions/2"))
    (tmp_path / "current").symlink_to("versions/1")
    assert step.needed()
    step.apply()
    assert (tmp_path / "current").readlink() == Path("versions/2") and not step.needed()


def test_remove_takes_files_links_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    for name in ("link", "file", "folder"):
        assert Remove(tmp_path / name).needed()
        Remove(tmp_path / name).apply()
        assert not Remove(tmp_path / name).needed()


def test_an_empty_folder_goes_and_a_full_one_stays(tmp_path: Path) -> None:
    step = Prune(tmp_path / "unit.d")
    assert not step.needed()
    step.path.mkdir()
    (step.path / "mine.conf").touch()
    assert not step.needed()
    (step.path / "mine.conf").unlink()
    assert step.needed() and step.apply() == "" and not step.path.exists()


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match=r"sh -c .* failed \(no such user\)"):
        apply([Command(["sh", "-c", "echo no such user >&2; exit 3"])], print)
    with pytest.raises(EdgecamError, match="cannot run"):
        Command([str(tmp_path / "nothing")]).apply()
    Command(["false"], may_fail=True).apply()
    assert not Command(["false"], unless=lambda: True).needed()


def test_steps_end_at_the_first_that_fails(tmp_path: Path) -> None:
    steps = [Folder(tmp_path / "a"), Command(["false"]), Folder(tmp_path / "b")]
    with pytest.raises(EdgecamError):
        apply(steps, print)
    assert (tmp_path / "a").is_dir() and not (tmp_path / "b").exists()
