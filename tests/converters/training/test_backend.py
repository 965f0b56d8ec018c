"""Training, distilling and pruning by JAX, where there is no TensorFlow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from converters.work import Work
from edgecam import contract
from tests.converters.training import pictures
from tests.converters.training.test_spread import QUICK
from tests.converters.training.test_steps import COMMAND, DISTILLED, JUDGED, TRAINED

pytestmark = pytest.mark.convert

PRUNED = """
[[step]]
run = "prune"
by = "entropy"
to = 0.7
rounds = 1
final_epochs = 1
multiple = 2
floor = 2
batch = 10
teacher = "train"
mirror = true
"""


def run(recipe: Path, data: Path, work: Path, modules: Path) -> subprocess.CompletedProcess[str]:
    paths = f"{modules}:{os.environ.get('PYTHONPATH', '')}"
    command = [*COMMAND, "run", str(recipe), "--data", str(data), "--work", str(work), "--backend", "jax"]
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_FLAGS": QUICK}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)


def test_what_jax_has_made_is_quantised_elsewhere(tmp_path: Path) -> None:
    data = pictures.write(tmp_path / "data", (40, 40, 40))
    recipe, folder = tmp_path / "recipe.toml", tmp_path / "work"
    # The teacher looks twice: its layers lie within, so only its answers are compared with the student's.
    made = TRAINED.format(epochs=3) + "mirror = true\n" + DISTILLED.replace("features", "# ") + PRUNED
    recipe.write_text(made)
    (tmp_path / "without").mkdir()
    (tmp_path / "without/tensorflow.py").write_text("raise ImportError('no TensorFlow here')\n")
    done = run(recipe, data, folder, tmp_path / "without")
    assert done.returncode == 0, done.stderr
    for step in ("train", "distill", "prune"):
        figures = Work(folder).figures(step)
        assert figures is not None
        losses = [row["loss"] for row in figures["history"]]
        assert losses[-1] < losses[0] or step == "prune"
    recipe.write_text(made + JUDGED + '[[step]]\nrun = "embed"\n')
    (tmp_path / "none").mkdir()
    again = run(recipe, data, folder, tmp_path / "none")
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stderr.splitlines() if line.endswith("done already")] == [
        f"{step}: done already" for step in ("data", "train", "distill", "prune")
    ]
    spec = contract.read(folder / "colours.tflite")
    assert spec is not None
    assert spec.report is not None
