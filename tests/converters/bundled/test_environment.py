"""The environment that models are built in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from converters.bundled import environment
from converters.bundled.__main__ import MODULES, ROOT, main
from edgecam.errors import EdgecamError


def test_every_pin_is_exact() -> None:
    pins = environment.pinned()
    assert pins["tensorflow"].count(".") == 2
    assert {"numpy", "opencv-python-headless", "pillow"} <= pins.keys(), "they make the calibration's pixels"


def test_differing_names_what_is_not_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "pinned", lambda: {"pytest": "0.0.1", "nosuchpackage": "1.0"})
    assert environment.differing() == ["pytest==0.0.1", "nosuchpackage==1.0"]
    monkeypatch.setattr(environment, "pinned", lambda: {"pytest": pytest.__version__})
    assert environment.differing() == []


def test_where_all_is_there_it_goes_on_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "differing", list)
    environment.enter(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment.sys, "executable", "/bin/false")
    monkeypatch.setattr(environment, "differing", lambda: ["tensorflow==0"])
    with pytest.raises(EdgecamError, match="python3-venv"):
        environment.enter(tmp_path, [])


def test_an_unknown_model_is_told_before_anything_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect-cocoa"]) == 2
    assert "did you mean 'detect-coco'?" in capsys.readouterr().err


def test_help_needs_nothing_but_python() -> None:
    """``make models`` starts on a bare machine: no package may be imported before the environment is made."""
    code = (
        "import sys, converters.bundled.__main__ as m\n"
        "outside = {n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)\n"
        "assert outside <= {'converters', 'edgecam', '__main__', '__mp_main__'}, outside\n"
    )
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.mark.convert
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed: apt install npm")
def test_the_recipes_make_the_bundled_files() -> None:
    """To the byte, or to what another processor rounds: :mod:`converters.bundled.alike`.

    Where this environment has other versions than the pinned ones, one that has them is made first.
    """
    if find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed: make convert-env, then make test")
    command = [sys.executable, "-m", "converters.bundled", "--check", *MODULES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
