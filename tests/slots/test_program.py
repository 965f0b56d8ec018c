"""Slots as a user has them: the real program, the real model, a run that goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from edgecam.minisign import SecretKey
from edgecam.slots.state import STARTS
from tests.e2e.command import Running, edgecam
from tests.slots.test_check import FACE, with_contract

KEY, STRANGER = SecretKey.new(), SecretKey.new()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A settings file: the face model, folders of its own, signed models only."""
    (tmp_path / "trusted.d").mkdir()
    (tmp_path / "trusted.d/us.pub").write_text(KEY.public.text)
    file = tmp_path / "edgecam.toml"
    file.write_text(
        f'source = "synthetic:?size=160x120&fps=20"\nmodel = "face"\nslots = "{tmp_path}/slots"\n'
        f'require_signature = true\ntrusted_keys = ["{tmp_path}/trusted.d"]\nthreads = 1\n'
        f'sinks = ["jsonl:{tmp_path}/out.jsonl"]\n'
    )
    return file


def signed(folder: Path, name: str, data: bytes, key: SecretKey) -> Path:
    file = folder / name
    file.write_bytes(data)
    (folder / f"{name}.minisig").write_text(key.sign(data))
    return file


def test_a_model_changes_while_the_program_runs(tmp_path: Path, settings: Path) -> None:
    new = signed(tmp_path, "new.tflite", with_contract(version="2.0.0"), KEY)
    with Running("run", "--config", settings) as run:
        run.wait_for("face on CPU")
        stranger = signed(tmp_path, "bad.tflite", FACE.read_bytes(), STRANGER)
        refused = edgecam("model", "install", stranger, "--config", settings)
        assert refused.returncode == 1 and "which is not trusted here" in refused.stderr
        done = edgecam(
            "model", "install", new, "--config", settings, "--activate", "--shadow", 1, "--trial", 1,
            "--slower", 20,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "slot face-2.0.0: 8 golden samples hold" in done.stderr and "100% agreement" in done.stderr
        assert "face-2.0.0 has passed its trial and stays" in done.stderr
        listed = json.loads(edgecam("model", "slots", "--json", "--config", settings).stdout)
        assert listed["in_use"] == listed["slots"][0]["sha256"] and listed["trial"] is None
        back = edgecam("model", "rollback", "--config", settings)
        assert back.returncode == 0 and "settings is in use" in back.stderr
        again = edgecam("model", "activate", "settings", "--config", settings)
        assert again.returncode == 3 and "settings is in use already" in again.stderr
        assert run.end(signal.SIGTERM) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) > 20 and all("detections" in row for row in rows)


def test_a_model_under_which_the_program_dies_is_gone_after_some_starts(
    tmp_path: Path, settings: Path
) -> None:
    new = signed(tmp_path, "new.tflite", with_contract(version="2.0.0"), KEY)
    assert edgecam("model", "install", new, "--config", settings, "--activate").returncode == 0
    for _ in range(STARTS):
        with Running("run", "--config", settings) as run:
            run.wait_for("face on CPU")
            run.process.kill()
    with Running("run", "--config", settings) as run:
        line = run.wait_for("was taken back")
        assert line.startswith(f"slot face-2.0.0 was taken back, settings is in use again: {STARTS} starts")
        assert run.end(signal.SIGTERM) == 0
    table = edgecam("model", "slots", "--config", settings).stdout
    assert "taken back: 3 starts ended before the trial was over" in table
    removed = edgecam("model", "uninstall", "face-2.0.0", "--config", settings)
    assert removed.returncode == 0 and not list((tmp_path / "slots/models").iterdir())
