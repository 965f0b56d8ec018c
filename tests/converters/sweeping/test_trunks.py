"""What several variants begin with is run once, and its work folder moves on to theirs; without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import recipes
from converters.job import Job
from converters.sweeping import tasks, variants
from converters.sweeping.tasks import Order
from converters.sweeping.variants import Variant
from converters.work import Work
from tests.converters.sweeping.test_sweep import JUDGED
from tests.converters.training import pictures
from tests.converters.training.test_steps import DISTILLED, TRAINED

pytestmark = pytest.mark.convert

GRID = """
[sweep.grid]
distill = [true, false]
quantize.recipes = [["int8"], ["dynamic"]]
"""


def log(work: Path, name: str) -> str:
    return (work / name / tasks.LOG).read_text()


def test_a_student_is_taught_once_for_all_that_become_of_it(tmp_path: Path) -> None:
    data, recipe, work = tmp_path / "colours", tmp_path / "mine.toml", tmp_path / "work"
    pictures.write(data, (12, 12, 12))
    recipe.write_text(TRAINED.format(epochs=1) + DISTILLED + JUDGED + GRID)
    Work(work).write_json(tasks.TOKEN, {"token": "here"})

    def order(variant: Variant) -> Order:
        job = Job(data=str(data), name="colours")
        return Order(variant, job, None, "", {}, str(work), "here", False, 1, 2000)

    found = {variant.name: variant for variant in variants.read(recipes.load(str(recipe))).variants}
    begun = variants.trunks(list(found.values()))
    taught = begun["distill-recipes-int8"]
    assert taught == begun["distill-recipes-dynamic"]
    assert taught.parent is not None
    first = tasks.run_trunk(order(taught.parent))
    second = tasks.run_trunk(order(taught), first)
    assert (first["last"], second["last"]) == ("train", "distill")
    text = log(work, f"trunks/{taught.name}")
    assert "train: done already" in text
    assert "teacher: " in text
    for name in ("distill-recipes-int8", "distill-recipes-dynamic"):
        done = tasks.run_variant(order(found[name]), second)
        assert "error" not in done
        text = log(work, f"variants/{name}")
        assert "train: done already" in text
        assert "distill: done already" in text
        assert "epoch" not in text
    alone = tasks.run_variant(order(found["no-distill-recipes-int8"]), first)
    assert alone["figures"]["models"]["int8"]["bytes"] != done["figures"]["models"]["dynamic"]["bytes"]
    # Where the trunk has failed, so has what grows on it.
    failed = tasks.run_variant(order(found["no-distill-recipes-dynamic"]), {"error": "no", "remedy": "r"})
    assert failed["error"] == "no"
