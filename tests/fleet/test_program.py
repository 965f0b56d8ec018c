"""The whole of it: the real program on a real broker, and the command line that pushes a model to it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from edgecam.minisign import SecretKey
from tests.e2e.command import Running, edgecam
from tests.helpers.broker import running
from tests.slots.test_check import with_contract

pytestmark = pytest.mark.mosquitto

KEY = SecretKey.new()


def test_a_model_is_pushed_to_a_device_that_runs(tmp_path: Path) -> None:
    new = tmp_path / "new.tflite"
    new.write_bytes(with_contract(version="2.0.0"))
    (tmp_path / "new.tflite.minisig").write_text(KEY.sign(new.read_bytes()))
    with running(tmp_path) as broker:
        uri = f"mqtt://{broker.address}/site"
        settings = tmp_path / "edgecam.toml"
        settings.write_text(
            f'source = "synthetic:?size=160x120&fps=20"\nmodel = "face"\nslots = "{tmp_path}/slots"\n'
            f'trusted_keys = ["{KEY.public.text}"]\nthreads = 1\ndevice_id = "hall-1"\nfleet = "yes"\n'
            f'sinks = ["{uri}?every=1s&queue=memory", "jsonl:{tmp_path}/out.jsonl"]\n'
        )
        with Running("run", "--config", settings) as run:
            run.wait_for("face on CPU")
            run.wait_for("mqtt: site/hall-1")
            listed = wait_for_device(uri)
            assert "hall-1  running" in listed and "settings" in listed
            options = ["--all", "--shadow", 1, "--trial", 1, "--slower", 20, "--soak", 0, "--broker", uri]
            done = edgecam("fleet", "push", new, *options, timeout=120)
            assert done.returncode == 0, done.stderr
            assert "hall-1: trial: face is in use" in done.stderr and "100% agreement" in done.stderr
            assert "new.tflite: 1 of 1 devices have it" in done.stderr
            facts = json.loads(edgecam("fleet", "status", "hall-1", "--json", "--broker", uri).stdout)
            assert facts["slot"] == "face-2.0.0" and facts["job"]["stage"] == "done"
            back = edgecam("fleet", "rollback", "hall-1", "--broker", uri)
            assert back.returncode == 0, back.stderr
            other = tmp_path / "other.tflite"
            other.write_bytes(with_contract(version="3.0.0"))
            unsigned = edgecam("fleet", "push", other, "hall-1", "--broker", uri, timeout=120)
            assert unsigned.returncode == 3 and "is not signed" in unsigned.stderr
            assert run.end(signal.SIGTERM) == 0
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        seqs = [row["seq"] for row in rows if row["state"] != "ended"]
        assert len(seqs) > 20 and sorted(set(seqs)) == seqs


def wait_for_device(uri: str) -> str:
    for _ in range(20):
        listed = edgecam("fleet", "ls", "--broker", uri).stdout
        if "running" in listed and "settings" in listed:
            return listed
    raise AssertionError(listed)


def test_what_is_wrong_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    model = tmp_path / "new.tflite"
    model.write_bytes(with_contract(golden=[]))
    with running(tmp_path) as broker:
        uri = f"mqtt://{broker.address}/site"
        for arguments, code, words in (
            (["push", model, "--all"], 1, "carries no golden samples"),
            (["push", tmp_path / "none.tflite", "--all"], 2, "cannot be read"),
            (["rollback", "--all"], 2, "no device is online"),
            (["rollback", "hall-1"], 2, "unknown device 'hall-1'"),
            (["rollback"], 2, "no device is named"),
        ):
            found = edgecam("fleet", *arguments, "--broker", uri)
            assert found.returncode == code and words in found.stderr, found.stderr
    gone = edgecam("fleet", "ls", "--broker", uri)
    assert gone.returncode == 1 and "cannot be reached" in gone.stderr
    assert "is no broker" in edgecam("fleet", "ls", "--broker", "jsonl:-").stderr
