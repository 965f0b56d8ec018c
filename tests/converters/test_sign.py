"""``edgecam-convert sign`` and what devices say of what it made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from converters.cli.app import cli as convert
from edgecam.cli.app import execute
from tests.conftest import ROOT


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "models/face.tflite", tmp_path))


def test_a_key_is_made_a_model_signed_and_verified(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    us = tmp_path / "us"
    assert execute(["sign", "--new-key", str(us), str(model), "--comment", "door 1.2"], convert) == 0
    assert us.with_suffix(".key").stat().st_mode & 0o777 == 0o600
    assert execute(["model", "verify", str(model), "--key", str(us.with_suffix(".pub"))]) == 0
    said = capsys.readouterr().err
    assert "face.tflite: signed by" in said and "all 8 golden samples" in said
    assert execute(["sign", "--new-key", str(us)], convert) == 2
    assert "us.key is there already" in capsys.readouterr().err
    assert execute(["sign", "--new-key", str(tmp_path / "other")], convert) == 0
    assert execute(["model", "verify", str(model), "--key", str(tmp_path / "other.pub")]) == 1
    assert "which is not trusted here" in capsys.readouterr().err
    with model.open("ab") as file:
        file.write(b"x")
    assert execute(["model", "verify", str(model), "--key", str(us.with_suffix(".pub"))]) == 1
    assert "changed or is damaged" in capsys.readouterr().err


def test_what_is_missing_is_named(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["sign"], "nothing to sign"),
        (["sign", str(model)], "no key to sign with"),
        (["sign", str(model), "--key", str(model)], "not a secret key"),
        (["sign", str(model), "--key", str(tmp_path / "none.key")], "cannot be read"),
    ):
        assert execute(arguments, convert) == 2
        assert words in capsys.readouterr().err
    assert execute(["model", "verify", str(model), "--key", str(tmp_path / "none.pub")]) == 2
    assert "no such key file" in capsys.readouterr().err
