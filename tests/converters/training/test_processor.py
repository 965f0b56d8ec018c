"""In which precision a machine computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from converters import recipes, steps
from converters.training import processor, spread
from converters.training.plan import Plan
from tests.converters.training.pictures import Remembering

EPYC = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 fma {}\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {} asimddp\nCPU part\t: 0xd0c\n"


@pytest.fixture(autouse=True)
def tensorflow_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "accelerated", lambda: False)
    monkeypatch.setattr(spread, "jax_module", lambda: None)


def said(tmp_path: Path, cpuinfo: str, precision: str) -> tuple[str, list[str], list[str]]:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    report = Remembering()
    plan = processor.settled(Plan(precision=precision), report, path)
    assert replace(plan, precision=precision) == Plan(precision=precision)
    return plan.precision, report.lines, report.warnings


@pytest.mark.parametrize(
    ("cpuinfo", "flag"),
    [
        (EPYC.format("avx512_bf16 avx512f"), "avx512_bf16"),
        (EPYC.format("amx_bf16 amx_tile"), "amx_bf16"),
        (ARM.format("bf16"), "bf16"),
    ],
)
def test_a_processor_with_the_instructions(tmp_path: Path, cpuinfo: str, flag: str) -> None:
    assert said(tmp_path, cpuinfo, "auto") == (
        "bfloat16",
        [f"precision: bfloat16, the processor has {flag}"],
        [],
    )
    assert said(tmp_path, cpuinfo, "bfloat16") == ("bfloat16", [], [])
    assert said(tmp_path, cpuinfo, "float32") == ("float32", [], [])


@pytest.mark.parametrize("cpuinfo", [EPYC.format("avx512f avx512_vnni"), ARM.format("asimdhp"), "", "junk"])
def test_a_processor_without(tmp_path: Path, cpuinfo: str) -> None:
    line = "precision: float32, the processor has no instructions for bfloat16"
    assert said(tmp_path, cpuinfo, "auto") == ("float32", [line], [])
    precision, lines, (warning,) = said(tmp_path, cpuinfo, "bfloat16")
    assert (precision, lines) == ("bfloat16", [])
    assert warning.startswith(
        "precision = bfloat16, but the processor has no instructions for bfloat16: it takes"
    )
    assert said(tmp_path, cpuinfo, "float32") == ("float32", [], [])


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert processor.native(tmp_path / "none") == ""


def test_with_an_accelerator_the_processor_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "accelerated", lambda: True)
    monkeypatch.setattr(processor, "halves", lambda: False)
    assert said(tmp_path, EPYC.format("amx_bf16"), "auto")[0] == "float32"
    monkeypatch.setattr(processor, "halves", lambda: True)
    assert said(tmp_path, EPYC.format(""), "auto") == (
        "bfloat16",
        ["precision: bfloat16, the GPU has it"],
        [],
    )
    assert said(tmp_path, EPYC.format(""), "bfloat16") == ("bfloat16", [], [])


def test_jax_on_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "jax_module", lambda: "JAX")
    why = "JAX on a processor makes NaN of bfloat16"
    assert said(tmp_path, EPYC.format("amx_bf16"), "auto") == ("float32", [f"precision: float32, {why}"], [])
    _, _, (warning,) = said(tmp_path, EPYC.format("amx_bf16"), "bfloat16")
    assert warning.startswith(f"precision = bfloat16, but {why}: ")
    assert warning.endswith(': precision = "auto" or "float32"')


def test_no_shipped_recipe_insists_on_what_most_processors_lack() -> None:
    for name in recipes.names():
        for step in recipes.load(name).steps:
            known = {option.name for option in steps.load(step.step).options}
            if "precision" in known:
                assert step.options.get("precision", "float32") in ("auto", "float32")
