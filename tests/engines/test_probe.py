"""Trying models in a child process: whatever they do there, the parent goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecam import resources, tflite
from edgecam.engines import probe, runtimes
from edgecam.errors import ModelError
from tests.engines import writer
from tests.engines.damage import mutated, structure

Write = Callable[..., Path]
BUNDLED = sorted(resources.folder("models").glob("*.tflite"))


def attempt(path: Path, runtime: runtimes.Runtime) -> probe.Verdict:
    return probe.run(probe.Request(runtime.name, path, 1))


def test_a_good_model_works(write: Write, runtime: runtimes.Runtime) -> None:
    assert attempt(write(writer.identity()), runtime) == probe.Verdict()


def test_an_orderly_failure_is_told(write: Write, runtime: runtimes.Runtime) -> None:
    model = writer.identity()
    model.ops = [writer.Op(writer.CUSTOM, (0,), (2,), custom="MyOwnOp")]
    verdict = attempt(write(model), runtime)
    assert "MyOwnOp" in verdict.error
    assert not verdict.crashed


def test_an_absent_interpreter_is_told(write: Write, runtime: runtimes.Runtime) -> None:
    other = {"litert": "tflite-runtime", "tflite-runtime": "litert"}[runtime.name]
    verdict = probe.run(probe.Request(other, write(writer.identity()), 1))
    assert verdict == probe.Verdict() or "is not installed" in verdict.error


def test_one_that_does_not_answer_is_ended(
    write: Write, runtime: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_CODE", "import threading; threading.Event().wait()")
    monkeypatch.setattr(probe, "TIMEOUT", 0.5)
    verdict = attempt(write(writer.identity()), runtime)
    assert verdict.crashed
    assert "did not answer" in verdict.error


def test_one_that_ends_without_an_answer(
    write: Write, runtime: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_CODE", "raise SystemExit(3)")
    verdict = attempt(write(writer.identity()), runtime)
    assert verdict.crashed
    assert "exit code 3" in verdict.error


@pytest.mark.real
def test_damaged_models_that_pass_the_verifier(real: Path, tmp_path: Path, runtime: runtimes.Runtime) -> None:
    data = (real / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    places, chance, tried = structure(data), random.Random(5), 0
    path = tmp_path / "damaged.tflite"
    while tried < 8:
        broken = mutated(data, chance, places)
        try:
            tflite.parse(broken)
        except ModelError:
            continue
        path.write_bytes(broken)
        tried += 1
        assert "\n" not in attempt(path, runtime).error


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_what_travels_with_edgecam_is_not_tried(
    path: Path, runtime: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: probe.Request) -> probe.Verdict:
        raise AssertionError(f"{request.model} was tried")

    monkeypatch.setattr(probe, "run", refuse)
    probe.ensure_harmless(path.read_bytes(), runtime, path, 1)
    with pytest.raises(AssertionError):
        probe.ensure_harmless(path.read_bytes() + b"rot", runtime, path, 1)


def test_where_nothing_can_be_kept_a_file_is_tried_once_by_a_process(
    runtime: runtimes.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with several interpreters of one model, and a home that is read-only."""
    tried: list[Path] = []

    def run(request: probe.Request) -> probe.Verdict:
        tried.append(request.model)
        return probe.Verdict("no such operator" if "odd" in request.model.name else "")

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(probe, "_marks", lambda: tmp_path / "file" / "below")
    monkeypatch.setattr(probe, "run", run)
    for _ in range(2):
        probe.ensure_harmless(b"a", runtime, tmp_path / "a.tflite", 1)
        probe.ensure_harmless(b"odd", runtime, tmp_path / "odd.tflite", 1)
    assert [path.stem for path in tried] == ["a", "odd", "odd"]
