"""``edgecam-convert quantize MODEL --data PICTURES`` in a process of its own, with TensorFlow."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converters import variants
from converters.work import Work
from edgecam import contract
from tests.converters import models_for_tests
from tests.helpers.edgetpu_compiler import ALL_MAPPED, PARTLY_MAPPED, install

pytestmark = pytest.mark.convert

COMMAND = [sys.executable, "-c", "from converters.cli import main; main()", "quantize"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    models_for_tests.write_pictures(folder)
    return folder


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, check=False, timeout=240
    )


def leftovers(work: Path) -> list[str]:
    """Files that no finished step leaves."""
    return sorted(path.name for path in work.rglob(".*") if path.name != ".lock")


def test_from_keras_to_a_judged_file_and_once_more(models: Path, pictures: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    arguments = (models / "colours.keras", "--data", pictures, "--work", work, "--licence", "CC0-1.0")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    # Nothing of what TensorFlow has to say: a bounded number of lines, all of them ours.
    assert len(done.stderr.splitlines()) < 30
    assert not any(word in done.stderr for word in ("tensorflow/", "INFO:", "W0000", "I0000", "cuda"))
    assert "preprocessing not said; -1..1 gets most right" in done.stderr
    assert leftovers(work) == []
    spec = contract.read(work / "colours.tflite")
    assert spec is not None
    assert (spec.labels, spec.mean, spec.std, spec.licence) == (
        models_for_tests.NAMES,
        (127.5,),
        (127.5,),
        "CC0-1.0",
    )
    assert spec.report["int8"]["top1"] > 0.9
    assert (work / "report.html").stat().st_size > 1000
    (entry,) = variants.read(Work(work))
    assert (entry.recipe, entry.float_ops) == ("int8", {})
    assert entry.peak_mb > 100
    before = (work / "colours.tflite").read_bytes()
    again = run(*arguments)
    assert again.returncode == 0
    assert again.stderr.count("done already") == 5
    assert (work / "colours.tflite").read_bytes() == before
    more = run("--work", work, "--recipes", "float16")
    assert more.returncode == 0, more.stderr
    assert [entry.recipe for entry in variants.read(Work(work))] == ["int8", "float16"]


def test_a_model_with_its_own_scaling_and_one_that_is_told_wrong(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        f"data = '{pictures}'\n[[step]]\nrun = 'data'\n[[step]]\nrun = 'quantize'\ncalibration = 9\n"
    )
    command = [*COMMAND[:-1], "run", str(recipe)]

    def convert(name: str, *argv: str) -> str:
        more = ["--model", str(models / name), "--work", str(tmp_path / name), *argv]
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stderr

    own = convert("scaling.keras")
    assert "preprocessing: 0..255, the model has a layer Rescaling of its own" in own
    assert "only 9 calibration pictures" in own
    assert "wrongly scaled" not in own
    figures = Work(tmp_path / "scaling.keras").figures("quantize")
    assert figures is not None
    assert figures["preprocess"]["known_by"] == "its layer Rescaling"
    assert sum(figures["calibration"]["histogram"]) == 9 * 24 * 24 * 3
    assert set(figures["calibration"]["per_class"].values()) == {3}
    wrong = convert("scaling.keras", "--preprocess", "-1..1")
    assert "the pictures seem wrongly scaled: with -1..1 (said) fewer are right" in wrong


def test_labels_that_do_not_match_the_outputs(models: Path, pictures: Path, tmp_path: Path) -> None:
    done = run(models / "binary.keras", "--data", pictures, "--work", tmp_path / "work")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "the data has 3 classes (blue, green, red), the model has 2 outputs" in last


def test_an_interrupted_run_leaves_nothing_half_written_and_goes_on(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    arguments = [str(models / "colours.keras"), "--data", str(pictures), "--work", str(work)]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not (work / "figures" / "data.json").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted; what is done is kept in {work}" in said
    assert leftovers(work) == []
    assert not (work / "variants.json").exists()
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "data: done already" in done.stderr
    assert (work / "colours.tflite").exists()


def test_a_full_disk_is_a_line(models: Path, pictures: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    most = 100_000  # bytes a file may have: data.json and the twin fit, the calibration pictures do not

    done = subprocess.run(
        [*COMMAND, str(models / "colours.keras"), "--data", str(pictures), "--work", str(work)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 1
    # coverage.py, where it measures, can write no more either, and says so behind it.
    (last,) = [line for line in done.stderr.splitlines() if line.startswith("edgecam-convert: ")]
    assert last.startswith(f"edgecam-convert: cannot write into {work} (File too large)")
    assert leftovers(work) == []
    assert not (work / "int8.tflite").exists()
    assert json.loads((work / "figures" / "data.json").read_text())["figures"]["task"] == "classify"


def test_the_edgetpu_recipe_without_and_with_the_compiler(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    """The compiler is a stand-in that says in the real one's words that it has mapped all."""
    work = Work(tmp_path / "work")
    arguments = ["edgetpu", "--model", models / "colours.keras", "--data", pictures, "--work", work.root]
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if "edgetpu" not in folder]

    def convert(*folders: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND[:-1], "run", *map(str, arguments)],
            env={**os.environ, "PATH": os.pathsep.join([*folders, *path])},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    alone = convert()
    assert alone.returncode == 0, alone.stderr
    assert "not compiled: edgetpu_compiler " in alone.stderr
    found = work.figures("edgetpu")
    assert found is not None
    assert found["compiled"] is None
    install(tmp_path / "bin", ALL_MAPPED)
    mapped = convert(str(tmp_path / "bin"))
    assert mapped.returncode == 0, mapped.stderr
    assert "embed: done already" in mapped.stderr
    found = work.figures("edgetpu")
    assert found is not None
    assert found["compiled"]["on_cpu"] == 0
    spec = contract.read(work.path("colours_edgetpu.tflite"))
    assert spec is not None
    assert spec.labels == models_for_tests.NAMES
    install(tmp_path / "bin", PARTLY_MAPPED)
    partly = convert(str(tmp_path / "bin"))
    assert partly.returncode == 3
    assert "the recipe wants all on the Edge TPU" in partly.stderr
