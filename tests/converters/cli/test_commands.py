"""``edgecam-convert`` as far as it goes without TensorFlow."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from converters.cli.app import cli
from converters.steps import STEPS
from edgecam.cli.app import execute

HEAVY = ("numpy", "cv2", "PIL", "tensorflow", "keras", "rich", "ai_edge_litert")


def convert(*argv: object) -> int:
    return execute([str(arg) for arg in argv], cli, "edgecam-convert")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            shape = (rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).repeat(8, 0).repeat(8, 1)
            pil.fromarray(shape).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    "argv", [["--help"], ["--version"], ["run", "--help"], ["quantize", "--help"], ["train", "--help"]]
)
def test_help_loads_nothing_heavy(argv: list[str]) -> None:
    script = (
        f"from converters.cli.app import cli\nfrom edgecam.cli.app import execute\n"
        f"assert execute({argv!r}, cli, 'edgecam-convert') == 0\n"
        f"import sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == ""


def test_every_step_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("--help") == 0
    overview = capsys.readouterr().out
    for name in STEPS:
        assert name in overview
        assert convert(name, "--help") == 0
        assert "--work" in capsys.readouterr().out


def test_the_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("recipes") == 0
    out = capsys.readouterr().out
    for name in ("compare", "int8-float-fallback", "codebook", "data quantize evaluate embed"):
        assert name in out


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["quantise"], 2, "did you mean 'quantize'"),
        (["quantize"], 2, "no model"),
        (["quantize", "m.keras"], 2, "add --data FOLDER"),
        (["quantize", "--work", "nowhere"], 2, "is not a work folder"),
        (["evaluate"], 2, "--work"),
        (["evaluate", "--work", "nowhere"], 2, "is not a work folder"),
        (["run", "compar", "--model", "m"], 2, "did you mean 'compare'"),
        (["run", "compare"], 2, "names no model"),
        (["quantize", "m.keras", "--data", "p", "--input-size", "huge"], 2, "input size"),
        (["quantize", ".", "--data", "nowhere"], 2, "nowhere"),
        (["quantize", "m.keras", "--data", "."], 2, "m.keras does not exist: name a Keras model"),
        (["quantize", ".", "--data", ".", "--recipes", "int9"], 2, "did you mean 'int8'"),
        (["quantize", ".", "--data", ".", "--preprocess", "resnet52"], 2, "did you mean 'resnet50'"),
        (["train"], 2, "no pictures: edgecam-convert train --data PICTURES, or --work FOLDER"),
        (["train", "--data", "nowhere"], 2, "nowhere does not exist"),
        (["train", "--work", "nowhere"], 2, "is not a work folder"),
        (["train", "--work", "w", "--recipes", "int8"], 2, "--recipes is for a run from pictures"),
        (["train", "--data", ".", "--weights", "gone.keras"], 2, "gone.keras does not exist"),
        (["train", "--data", ".", "--network", "vgg"], 2, "'vgg' is not one of"),
        (["distill", "--data", "."], 2, "no teacher is named: add --teacher FILE"),
        (["distill", "--data", ".", "--model", "t.keras"], 2, "no student is named: add --network NAME"),
        (["prune", "--data", "."], 2, "no model is named: edgecam-convert prune --model FILE"),
        (["qat", "--data", ".", "--model", "gone.keras"], 2, "gone.keras does not exist"),
    ],
)
def test_wrong_command_lines(
    argv: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert convert(*argv) == code
    err = capsys.readouterr().err.strip()
    assert err.startswith("edgecam-convert: ")
    assert said in err
    assert "\n" not in err


def test_one_step_alone_and_once(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "own.toml"
    recipe.write_text("model = 'm.keras'\ndata = 'pictures'\n[[step]]\nrun = 'data'\n")
    work = tmp_path / "work"
    assert convert("run", recipe, "--work", work) == 0
    assert "24 pictures" in capsys.readouterr().err
    assert convert("run", recipe, "--work", work) == 0
    assert "done already" in capsys.readouterr().err
    assert (
        convert("data", "--work", work, "--fractions", "0.5", "--fractions", "0.25", "--fractions", "0.25")
        == 0
    )
    assert "24 pictures" in capsys.readouterr().err


def test_without_tensorflow_the_remedy_is_named(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorflow" else find(name))
    model = tmp_path / "m.keras"
    model.write_bytes(b"")
    assert convert("quantize", model, "--data", pictures, "--work", tmp_path / "work") == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == "edgecam-convert: TensorFlow is not installed: pip install 'edgecam[convert]'"


def test_the_class_histogram_is_drawn_on_a_terminal(pictures: Path, tmp_path: Path) -> None:
    """A terminal gets a table, a pipe plain lines."""
    recipe = tmp_path / "data.toml"
    recipe.write_text(f'data = "{pictures}"\n[[step]]\nrun = "data"\n')
    script = (
        f"from converters.cli import main; main(['run', {str(recipe)!r}, '--model', 'm.keras', '--again'])"
    )
    command = [sys.executable, "-c", script]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "  class" in piped.stderr
    assert "━" not in piped.stderr
    assert "─" not in piped.stderr
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=tmp_path, stderr=child, env=environment) as running:
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(parent, 4096):
                shown += part
        os.close(parent)
    assert running.returncode == 0
    text = shown.decode()
    assert "────" in text
    assert all(word in text for word in ("class", "cat", "dog", "validation", "█"))


@pytest.mark.parametrize(
    ("module", "argv", "said"),
    [
        ("ray", ["sweep", "r.toml"], "Ray is not installed: pip install 'edgecam[sweep]'"),
        ("jax", ["run", "r.toml"], "JAX is not installed: pip install 'edgecam[jax]'"),
    ],
)
def test_without_ray_or_jax_the_remedy_is_named(
    module: str,
    argv: list[str],
    said: str,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find = __import__("importlib.util").util.find_spec
    found = {module: None, "tensorflow": find("numpy")}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found[name] if name in found else find(name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(
        "data = 'pictures'\n[sweep.grid]\ntrain.width = [0.5]\n[[step]]\nrun = 'data'\n"
        "[[step]]\nrun = 'train'\nnetwork = 'cnn'\nbackend = 'jax'\n"
    )
    assert convert(*argv) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"edgecam-convert: {said}"
    assert not list(tmp_path.glob("*/trained*"))
