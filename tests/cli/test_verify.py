"""``edgecam model verify``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecam.flatbuffer import root
from tests.cli.conftest import Run

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


def test_all_as_promised(edgecam: Run) -> None:
    ran = edgecam("model", "verify", "detect-coco")
    assert ran.code == 0
    rows = ran.out.splitlines()
    assert len(rows) == 9
    assert all(row.split()[0].startswith("golden/") and " pass " in row for row in rows[1:])
    assert "all 8 golden samples are as promised on CPU" in ran.err


def test_json(edgecam: Run) -> None:
    ran = edgecam("model", "verify", "face", "--json", "--threads", 1)
    content = json.loads(ran.out)
    assert content["device"] == "CPU x1"
    assert [row["passed"] for row in content["samples"]] == [True] * 8
    assert content["samples"][0]["problems"] == []


def test_a_file_whose_weights_have_changed(edgecam: Run, tmp_path: Path) -> None:
    """The largest weight tensor: still a sound model, but no more the one that was promised."""
    data = bytearray((MODELS / "classify-person.tflite").read_bytes())
    size, start = max(buffer.vector(0, 1) for buffer in root(bytes(data), b"TFL3").tables(4))
    data[start : start + size] = bytes(b ^ 0x55 for b in data[start : start + size])
    path = tmp_path / "changed.tflite"
    path.write_bytes(data)
    ran = edgecam("model", "verify", path)
    assert ran.code == 3
    assert "FAIL" in ran.out
    assert "golden samples are not as promised on CPU" in ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("edgecam:")]) == 1


def test_an_engine_that_makes_things_up(edgecam: Run) -> None:
    assert edgecam("model", "verify", "detect-coco", "--engine", "fake").code == 3


def test_settings_of_the_user_do_not_change_the_proof(edgecam: Run, tmp_path: Path) -> None:
    config = tmp_path / "edgecam.toml"
    config.write_text(
        'threshold = 0.99\nclasses = ["dog"]\nresize = "crop"\ntask = "classify"\nmodel = "face"\n'
    )
    assert edgecam("model", "verify", "detect-coco", "--config", config).code == 0


@pytest.mark.real
def test_a_model_of_somebody_else(edgecam: Run, real: Path) -> None:
    ran = edgecam("model", "verify", real / "mobilenet_v2_1.0_224_quant.tflite")
    assert ran.code == 1
    assert "carries no contract" in ran.err


def test_no_such_model(edgecam: Run) -> None:
    ran = edgecam("model", "verify", "detect-coca")
    assert ran.code == 2
    assert "detect-coco" in ran.err
