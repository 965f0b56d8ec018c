"""The step for the Edge TPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from converters import recipes, runner, steps
from converters.edgetpu import compiler
from converters.job import Job
from converters.recipes import Planned
from converters.runner import complete
from converters.work import Work
from edgecam import contract, metadata, tflite, verify
from edgecam.errors import EdgecamError, ModelError, QualityError, UsageError
from tests.helpers.edgetpu_compiler import ALL_MAPPED, PARTLY_MAPPED, REFUSED, install
from tests.helpers.steps import Heard

MODEL = Path(__file__).resolve().parents[3] / "models" / "classify-person.tflite"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A work folder with a final file, on a machine without the compiler."""
    monkeypatch.setattr(compiler.shutil, "which", lambda name: name if Path(name).is_file() else None)
    work = Work(tmp_path / "work")
    work.root.mkdir()
    shutil.copy(MODEL, work.path("parts.tflite"))
    work.finish("embed", "x", {"file": "parts.tflite"})
    return work


def run(work: Work, **said: Any) -> tuple[dict[str, Any], Heard]:
    step, heard = steps.load("edgetpu"), Heard()
    return step.run(work, complete(step, Job(), said), heard), heard


def test_without_the_compiler_the_rules_speak(work: Work) -> None:
    figures, heard = run(work)
    assert figures["compiled"] is None
    assert figures["files"] == []
    assert figures["summary"] == figures["checked"]["summary"]
    assert any(line.split()[:2] == ["DEPTHWISE_CONV_2D", "13"] for line in heard.lines)
    assert heard.lines[-1].startswith("parts.tflite: ")
    assert len(heard.warnings) == 1
    assert heard.warnings[0].startswith("not compiled: edgetpu_compiler ")


def test_compiled_and_given_back_its_passport(work: Work, tmp_path: Path) -> None:
    figures, heard = run(work, compiler=str(install(tmp_path / "bin", PARTLY_MAPPED)))
    path = work.path("parts_edgetpu.tflite")
    assert figures["files"] == ["parts_edgetpu.tflite"]
    assert figures["compiled"]["on_cpu"] == 6
    assert tflite.load(path).compiled_for_edgetpu
    spec, plain = contract.read(path), contract.read(MODEL)
    assert spec is not None
    assert plain is not None
    assert (spec.labels, spec.report, spec.golden) == (plain.labels, plain.report, plain.golden)
    assert len(verify.load(path)[1]) == 8
    assert metadata.Appended(path.read_bytes()).names == metadata.Appended(MODEL.read_bytes()).names
    assert any("HARD_SWISH" in line and "Operation not supported" in line for line in heard.lines)
    assert heard.warnings == []


@pytest.mark.parametrize(
    ("require", "log", "failed"),
    [
        ("", PARTLY_MAPPED, False),
        ("any", PARTLY_MAPPED, False),
        ("all", PARTLY_MAPPED, True),
        ("all", ALL_MAPPED, False),
    ],
)
def test_what_a_recipe_may_want(work: Work, tmp_path: Path, require: str, log: str, failed: bool) -> None:
    program = str(install(tmp_path / "bin", log))
    planned = [Planned("edgetpu", {"require": require, "compiler": program})]
    if not failed:
        runner.run(work, Job(), planned, Heard())
        return
    with pytest.raises(QualityError, match=r"34 of 40 .* the recipe wants all") as caught:
        runner.run(work, Job(), planned, Heard())
    assert caught.value.exit_code == 3
    assert "--require any" in caught.value.remedy
    assert work.path("parts_edgetpu.tflite").exists()
    with pytest.raises(QualityError):  # still so when nothing is left to do
        runner.run(work, Job(), planned, Heard())


def test_without_the_compiler_the_rules_decide(work: Work) -> None:
    shutil.copy(MODEL.with_name("face.tflite"), work.path("parts.tflite"))
    for require in ("any", "all"):
        with pytest.raises(QualityError, match="none of 164 operators would run"):
            runner.run(work, Job(), [Planned("edgetpu", {"require": require})], Heard())


def test_the_shipped_recipe_wants_all() -> None:
    (plan,) = [plan for plan in recipes.load("edgetpu").steps if plan.step == "edgetpu"]
    assert plan.options["require"] == "all"


def test_a_compiler_that_is_named_must_work(work: Work, tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match="is not a program"):
        run(work, compiler=str(tmp_path / "nothing"))
    program = str(install(tmp_path / "bin", REFUSED, code=1, writes=False))
    with pytest.raises(ModelError, match="Model not quantized"):
        run(work, compiler=program)
    assert not work.path("parts_edgetpu.tflite").exists()


def test_installing_the_compiler_makes_the_step_due_again(work: Work, tmp_path: Path) -> None:
    step = steps.load("edgetpu")
    before = list(step.inputs(work, complete(step, Job(), {})))
    program = install(tmp_path / "bin", ALL_MAPPED)
    after = list(step.inputs(work, complete(step, Job(), {"compiler": str(program)})))
    assert after == [*before, program]


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run the step quantize first"):
        run(Work(tmp_path))
