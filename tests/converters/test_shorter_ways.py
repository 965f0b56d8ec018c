"""``edgecam-convert train|distill|prune|qat --data PICTURES``: from pictures to a judged file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from converters.work import Work
from edgecam import contract
from tests.converters.training import pictures

pytestmark = pytest.mark.convert

COMMAND = [sys.executable, "-c", "from converters.cli import main; main()"]
LOOSE = ("--max-drop", "100", "--max-class-drop", "100")
TINY = ("--epochs", "1", "--batch", "20", "--calibration", "9", *LOOSE)


def run(folder: Path, *argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, check=False, timeout=900, cwd=folder
    )


def test_pictures_become_a_model_which_is_pruned(tmp_path: Path) -> None:
    pictures.write(tmp_path / "colours", (20, 20, 20))
    made = run(tmp_path, "train", "--data", "colours", "--network", "plain", "--width", "0.125", *TINY)
    assert made.returncode == 0, made.stderr
    work = Work(tmp_path / "colours-work")
    assert sorted(path.stem for path in work.path("figures").glob("*.json")) == sorted(
        ["data", "train", "quantize", "evaluate", "embed", "report"]
    )
    spec = contract.read(work.path("colours.tflite"))
    assert spec is not None
    assert spec.labels == pictures.NAMES
    assert work.path("report.html").exists()

    model = work.path("trained.keras")
    pruned = run(
        *(tmp_path, "prune", "--model", model, "--data", "colours", "--work", "small", *TINY),
        *("--to", "0.7", "--rounds", "1", "--final-epochs", "1", "--floor", "2", "--multiple", "1"),
    )
    assert pruned.returncode == 0, pruned.stderr
    found = Work(tmp_path / "small").figures("prune")
    assert found is not None
    assert found["macs"] <= 0.7 * found["before"]["macs"]
    assert (tmp_path / "small" / "trained.tflite").exists()


def test_what_is_taken_where_nothing_is_said(tmp_path: Path) -> None:
    from converters.cli import short
    from converters.job import Job

    pictures.write(tmp_path / "colours", (3, 3, 3))
    (tmp_path / "boxes.csv").write_text("path,label,x1,y1,x2,y2\ncolours/red/0.png,red,1,1,9,9\n")
    plain, boxes = Job(data=str(tmp_path / "colours")), Job(data=str(tmp_path / "boxes.csv"))
    assert short._design("train", plain, {}) == {"network": "mobilenet_v2", "input_size": [96, 96]}
    assert short._design("train", boxes, {}) == {"network": "ssd_mobilenet_v2"}
    assert short._design("train", plain, {"network": "cnn"}) == {"network": "cnn"}
    assert short._design("train", Job(data=plain.data, input_size=(64, 64)), {})["network"] == "mobilenet_v2"
    assert short._design("train", Job(data=plain.data, model="m.keras"), {}) == {}
