"""Which model a step works on."""

from __future__ import annotations

from pathlib import Path

from converters import steps
from converters.training import chain
from converters.work import Work


def linked(work: Work, names: list[str], model: str = "") -> dict[str, str]:
    planned = [(steps.load(name), {"model": model}) for name in names]
    return {step.name: str(options["model"]) for step, options in chain.link(work, planned)}


def test_each_step_takes_what_the_one_before_makes(tmp_path: Path) -> None:
    found = linked(Work(tmp_path), ["data", "train", "distill", "quantize", "report"], "mine.keras")
    assert found == {
        "data": "mine.keras",
        "train": "mine.keras",
        "distill": str(tmp_path / "trained.keras"),
        "quantize": str(tmp_path / "distilled.keras"),
        "report": str(tmp_path / "distilled.keras"),
    }


def test_without_training_the_model_stays(tmp_path: Path) -> None:
    assert linked(Work(tmp_path), ["data", "quantize"], "mine.keras")["quantize"] == "mine.keras"


def test_what_an_earlier_recipe_has_made_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "pruned.keras").touch()
    assert linked(Work(tmp_path), ["train", "quantize"])["quantize"] == str(tmp_path / "trained.keras")


def test_a_single_step_takes_the_last_before_it_that_is_done(tmp_path: Path) -> None:
    work = Work(tmp_path)
    for step in ("train", "distill"):
        (tmp_path / chain.CHAIN[step]).touch()
    work.finish("train", "mark", {})
    assert linked(work, ["quantize"])["quantize"] == str(tmp_path / "trained.keras")
    work.finish("distill", "mark", {})
    assert linked(work, ["quantize"])["quantize"] == str(tmp_path / "distilled.keras")
    assert linked(work, ["distill"])["distill"] == str(tmp_path / "trained.keras")
    assert linked(work, ["train"], "mine.keras")["train"] == "mine.keras"


def test_a_teacher_may_be_the_name_of_a_step(tmp_path: Path) -> None:
    planned = [
        (steps.load("train"), {"model": ""}),
        (steps.load("distill"), {"model": "", "teacher": ""}),
        (steps.load("prune"), {"model": "", "teacher": "train"}),
        (steps.load("prune"), {"model": "", "teacher": "itself"}),
    ]
    teachers = [options.get("teacher") for _, options in chain.link(Work(tmp_path), planned)]
    assert teachers == [None, "", str(tmp_path / "trained.keras"), "itself"]
