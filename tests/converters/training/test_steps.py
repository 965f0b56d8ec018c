"""``train`` and ``distill`` as steps of a recipe, from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from converters.work import Work
from edgecam import contract
from tests.converters.training import pictures

pytestmark = pytest.mark.convert

COMMAND = [sys.executable, "-c", "from converters.cli import main; main()"]
CIFAR = Path(__file__).resolve().parents[4] / "shared/data/cifar10.zip"
#: with ``epochs``
TRAINED = """
summary = "a test"
name = "colours"

[[step]]
run = "data"

[[step]]
run = "train"
network = "plain"
widths = [8, 8, 8]
epochs = {epochs}
batch = 10
rate = 0.01
ema = 0.8
shift = 0.0
"""
DISTILLED = """
[[step]]
run = "distill"
network = "plain"
widths = [4, 4, 4]
epochs = 2
batch = 10
rate = 0.01
features = ["block2_act2"]
"""
JUDGED = """
[[step]]
run = "quantize"

[[step]]
run = "evaluate"
layers = 0
max_drop = 100.0
max_class_drop = 100.0
"""
SHIPPED = """
[[step]]
run = "embed"

[[step]]
run = "report"
"""


def command(*argv: object) -> list[str]:
    return [*COMMAND, *map(str, argv)]


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*argv), capture_output=True, text=True, check=False, timeout=500)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures.write(tmp_path_factory.mktemp("colours"), (40, 40, 40))


def test_from_pictures_to_a_judged_file_with_a_kill_between(colours: Path, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "recipe.toml", tmp_path / "work"
    recipe.write_text(TRAINED.format(epochs=8) + DISTILLED + JUDGED + SHIPPED)
    arguments = ("run", recipe, "--data", colours, "--work", folder)
    child = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    state = folder / "trained" / "state.npz"
    end = time.monotonic() + 300
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert state.exists()

    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "data: done already" in done.stderr
    assert "training goes on after epoch" in done.stderr
    assert not any(word in done.stderr for word in ("tensorflow/", "W0000", "I0000", "cuda"))
    work = Work(folder)
    trained, distilled = work.figures("train"), work.figures("distill")
    assert trained is not None
    assert distilled is not None
    assert [row["epoch"] for row in trained["history"]] == list(range(1, 9))
    assert trained["history"][-1]["validation"]["recall"] > 0.6
    assert distilled["teacher"]["file"] == str(folder / "trained.keras")
    assert distilled["parameters"] < trained["parameters"]
    spec = contract.read(folder / "colours.tflite")
    assert spec is not None
    assert (spec.labels, spec.mean, spec.std) == (pictures.NAMES, (0.0,), (1.0,))
    page = (folder / "report.html").read_text()
    assert "How it learnt: train" in page
    assert "How it learnt: distill" in page
    assert not (folder / "trained").exists()
    assert [path.name for path in folder.glob(".*")] == [".lock"]

    again = run(*arguments)
    assert again.returncode == 0, again.stderr
    assert "distill: done already" in again.stderr
    assert "quantize: done already" in again.stderr


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ((), 2, "no network is named: --network with one of cnn, plain"),
        (("--network", "plain", "--rate", "0"), 2, "rate = 0: give a value from"),
        (("--network", "cnn", "--whiten"), 2, "cnn has no convolution called 'stem' to whiten"),
        (("--network", "cnn", "--weights", "gone.keras"), 1, "gone.keras does not exist"),
        (("--network", "cnn", "--optimizer", "sgd", "--rate", "100"), 1, "the loss became NaN"),
    ],
)
def test_what_is_wrong_is_one_line(
    colours: Path, tmp_path: Path, said: tuple[str, ...], code: int, message: str
) -> None:
    recipe = tmp_path / "data.toml"
    recipe.write_text('summary = "pictures"\n[[step]]\nrun = "data"\n')
    made = run("run", recipe, "--model", "none.keras", "--data", colours, "--work", tmp_path / "work")
    assert made.returncode == 0, made.stderr
    job = tmp_path / "work" / "job.json"
    job.write_text(json.dumps({**json.loads(job.read_text()), "model": ""}))
    done = run("train", "--work", tmp_path / "work", *said)
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1].startswith("edgecam-convert: ")
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "work" / "trained.keras").exists()


@pytest.mark.real
@pytest.mark.skipif(not CIFAR.exists(), reason="needs ../shared/data/cifar10.zip")
def test_real_pictures_with_a_split_of_their_own(tmp_path: Path) -> None:
    wanted = {"cat": 0, "ship": 0}
    with zipfile.ZipFile(CIFAR) as archive:
        for name in sorted(archive.namelist()):
            part, kind, *_ = name.split("/")
            key = kind if part == "train" else f"test {kind}"
            if kind in ("cat", "ship") and wanted.get(key, 0) < (300 if part == "train" else 60):
                wanted[key] = wanted.get(key, 0) + 1
                archive.extract(name, tmp_path / "data")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TRAINED.format(epochs=4).replace("batch = 10", "batch = 20\nwhiten = true"))
    done = run("run", recipe, "--data", tmp_path / "data", "--work", tmp_path / "work")
    assert done.returncode == 0, done.stderr
    data, trained = (Work(tmp_path / "work").figures(step) for step in ("data", "train"))
    assert data is not None
    assert trained is not None
    assert data["pictures"]["test"] == 120
    assert trained["history"][-1]["validation"]["recall"] > 0.65
