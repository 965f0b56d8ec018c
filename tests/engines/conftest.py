"""What the engine tests share. They run under both interpreters, each in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecam.engines import runtimes
from tests.engines import writer

SOURCE = Path(__file__).with_name("standin_delegate.c")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    return folder


@pytest.fixture(scope="session")
def runtime() -> runtimes.Runtime:
    """The interpreter of this environment."""
    found = next(runtimes.available("auto"), None)
    if found is None:
        pytest.skip("no interpreter is installed: pip install ai-edge-litert")
    return found


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stand-in delegate's library, compiled here."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed: apt install gcc libc6-dev")
    library = tmp_path_factory.mktemp("standin") / "libstandin.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, SOURCE],
        check=True,
    )
    return str(library)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[writer.Model, str], Path]:
    """Puts a model into a file."""

    def put(model: writer.Model, name: str = "model.tflite") -> Path:
        path = tmp_path / name
        path.write_bytes(model.write())
        return path

    return put


def compiled() -> writer.Model:
    """What the Edge TPU compiler makes of a model: one operator that only the TPU knows."""
    tensors = [
        writer.T("image", (1, 4, 4, 3), writer.UINT8, (1.0, 0)),
        writer.T("scores", (1, 5), writer.UINT8, (1 / 256, 0)),
    ]
    return writer.Model(tensors, [0], [1], [writer.Op(writer.CUSTOM, (0,), (1,), custom="edgetpu-custom-op")])
