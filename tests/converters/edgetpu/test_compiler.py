"""Google's compiler: its log, its absence, and what it refuses."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from converters.edgetpu import compiler
from converters.edgetpu.compiler import Row
from edgecam import tflite
from edgecam.errors import EdgecamError, ModelError
from tests.converters.edgetpu.graphs import chain
from tests.helpers.edgetpu_compiler import ALL_MAPPED, PARTLY_MAPPED, REFUSED, install


def test_a_log_in_which_all_is_mapped() -> None:
    log = compiler.parse(ALL_MAPPED)
    assert log.version == "16.0.384591198"
    assert log.rows[0] == Row("CONV_2D", 14, "Mapped to Edge TPU")
    assert len(log.rows) == 5
    assert (log.on_tpu, log.on_cpu, log.subgraphs) == (30, 0, 1)
    assert (log.on_chip, log.off_chip) == (512 * 1024, 0)
    assert log.summary == "all 30 operators on the Edge TPU (edgetpu_compiler 16.0.384591198)"


def test_a_log_in_which_some_is_not() -> None:
    log = compiler.parse(PARTLY_MAPPED)
    assert (log.on_tpu, log.on_cpu) == (34, 6)
    assert sum(row.count for row in log.rows if row.mapped) == 34
    assert [row.name for row in log.rows if not row.mapped] == [
        "CONV_2D",
        "QUANTIZE",
        "DEQUANTIZE",
        "HARD_SWISH",
        "TFLite_Detection_PostProcess",
    ]
    assert log.rows[3].status.endswith("not mapped due to some unspecified limitation")
    assert log.off_chip == round(2.25 * 2**20)
    assert log.summary == (
        "34 of 40 operators on the Edge TPU, 2.25 MiB of parameters do not fit on it"
        " (edgetpu_compiler 16.0.384591198)"
    )
    assert log.as_dict()["summary"] == log.summary


@pytest.mark.parametrize("said", ["", "Compiler version 16.0.1\n", ALL_MAPPED.partition("version")[2]])
def test_what_is_no_log(said: str) -> None:
    with pytest.raises(EdgecamError, match="not understood"):
        compiler.parse(said)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (REFUSED, "Model not quantized"),
        (
            "Started a compilation timeout timer of 180 seconds.\nCompilation timed out!\n",
            "Compilation timed out",
        ),
        ("Internal compiler error. Aborting!\n", "Internal compiler error. Aborting"),
        (
            "ERROR: Attempting to use a dynamic-sized tensor\nsorry\n",
            "Attempting to use a dynamic-sized tensor",
        ),
        ("something else\n", "something else"),
        ("", "it says nothing"),
    ],
)
def test_the_line_that_tells_most(said: str, line: str) -> None:
    assert compiler.complaint(said) == line


def test_compiling(tmp_path: Path) -> None:
    program = install(tmp_path, PARTLY_MAPPED)
    data, log = compiler.run(program, chain("RELU", "RELU"))
    assert tflite.parse(data).compiled_for_edgetpu
    assert log.on_cpu == 6


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="edgetpu_compiler refuses the model: Model not quantized"):
        compiler.run(install(tmp_path, REFUSED, code=1, writes=False), chain("RELU"))
    with pytest.raises(ModelError, match="refuses the model"):
        compiler.run(install(tmp_path, ALL_MAPPED, writes=False), chain("RELU"))


def test_one_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "GRACE", 0.5)
    program = install(tmp_path, "", before="import time; time.sleep(60)")
    with pytest.raises(EdgecamError, match="did not end within"):
        compiler.run(program, chain("RELU"), timeout=0)


def test_one_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "edgetpu_compiler"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    with pytest.raises(EdgecamError, match="cannot run"):
        compiler.run(path, chain("RELU"))


def test_it_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(tmp_path, ALL_MAPPED)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.find() == program
    assert compiler.find(str(program)) == program
    with pytest.raises(EdgecamError, match="is not a program: name the edgetpu_compiler"):
        compiler.find(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("machine", "system", "remedy"),
    [
        ("x86_64", "linux", "apt install edgetpu-compiler"),
        ("aarch64", "linux", "copy the file to such a machine"),
        ("arm64", "darwin", "copy the file to such a machine"),
        ("x86_64", "darwin", "copy the file to such a machine"),
    ],
)
def test_the_remedy_fits_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, system: str, remedy: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(compiler.sys, "platform", system)
    with pytest.raises(EdgecamError, match=remedy):
        compiler.find()
