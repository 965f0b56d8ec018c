"""What the table ``[sweep]`` of a recipe means."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from converters import recipes
from converters.sweeping import variants
from edgecam.errors import ConfigError

STEPS = """
[[step]]
run = "data"
[[step]]
run = "train"
network = "cnn"
epochs = 3
[[step]]
run = "prune"
to = 0.5
[[step]]
run = "quantize"
[[step]]
run = "evaluate"
"""


def plan(tmp_path: Path, table: str) -> variants.Plan:
    path = tmp_path / "mine.toml"
    path.write_text(table + STEPS)
    return variants.read(recipes.load(str(path)))


def test_a_grid_is_every_combination_and_a_list_comes_besides(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        """
        [sweep]
        retries = 1
        [sweep.grid]
        train.width = [0.5, 1.0]
        prune = [false, true, {to = 0.3, by = "entropy"}]
        quantize.recipes = [["int8", "float16"]]
        [[sweep.list]]
        name = "tiny one"
        train = {width = 0.25, epochs = 9}
        prune = false
        """,
    )
    assert (found.cpus, found.retries, found.shard) == (1, 1, 2000)
    names = [variant.name for variant in found.variants]
    assert names == [
        "width-0.5-no-prune-recipes-int8-float16",
        "width-0.5-prune-recipes-int8-float16",
        "width-0.5-prune-to-0.3-by-entropy-recipes-int8-float16",
        "width-1.0-no-prune-recipes-int8-float16",
        "width-1.0-prune-recipes-int8-float16",
        "width-1.0-prune-to-0.3-by-entropy-recipes-int8-float16",
        "tiny-one",
    ]
    first, _, third, *_, last = found.variants
    assert [step.step for step in first.steps] == ["data", "train", "quantize", "evaluate"]
    assert first.steps[1].options == {"network": "cnn", "epochs": 3, "width": 0.5}
    assert first.steps[2].options == {"recipes": ["int8", "float16"]}
    assert third.steps[2].options == {"to": 0.3, "by": "entropy"}
    assert last.steps[1].options == {"network": "cnn", "epochs": 9, "width": 0.25}


def test_a_training_that_several_begin_with_is_one(tmp_path: Path) -> None:
    found = plan(tmp_path, "[sweep.grid]\ntrain.width = [0.5, 1.0]\nprune = [false, true]\n").variants
    begun = variants.trunks(found)
    assert list(begun) == [variant.name for variant in found]
    assert [step.step for step in begun[found[0].name].steps] == ["data", "train"]
    assert begun["width-0.5-no-prune"] == begun["width-0.5-prune"] != begun["width-1.0-prune"]
    assert variants.trunks(found[1:3]) == {}


def test_trunks_have_trunks(tmp_path: Path) -> None:
    """Two trainings, of one a distillation that two prunings share; nobody leaves after another."""
    path = tmp_path / "mine.toml"
    grid = (
        "[sweep.grid]\ntrain.width = [0.5, 1.0]\ndistill = [false, true]\nprune = [{to = 0.5}, {to = 0.3}]\n"
    )
    distilled = "[[step]]\nrun = 'distill'\nnetwork = 'cnn'\n"
    path.write_text(grid + STEPS.replace('[[step]]\nrun = "prune"', distilled + '[[step]]\nrun = "prune"'))
    found = variants.read(recipes.load(str(path))).variants
    assert len(found) == 8
    begun = variants.trunks(found)
    taught, alone = begun["width-0.5-distill-prune-to-0.5"], begun["width-0.5-no-distill-prune-to-0.5"]
    assert taught == begun["width-0.5-distill-prune-to-0.3"]
    assert [step.step for step in taught.steps] == ["data", "train", "distill"]
    assert taught.parent == alone
    assert alone.parent is None
    assert alone != begun["width-1.0-no-distill-prune-to-0.5"]
    # All that are left train and distil alike: that is one trunk, not two.
    only = variants.trunks(found[2:4])
    assert {trunk.name for trunk in only.values()} == {taught.name}
    assert all(trunk.parent is None for trunk in only.values())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no variants"),
        ("[sweep]\ncpus = 2\n", "no variants"),
        ("[sweep]\ncpus = 0\ngrid.train.width = [1]\n", "sweep.cpus = 0"),
        ("[sweep]\nworkers = 2\ngrid.train.width = [1]\n", "'workers'"),
        ("[sweep.grid]\ntrain.width = 0.5\n", "train.width = 0.5 in [sweep.grid]: give a list"),
        ("[sweep.grid]\ntrain.width = []\n", "train.width = []"),
        ("[sweep.grid]\ntrain.widht = [1.0]\n", "did you mean 'width'"),
        ("[sweep.grid]\ndistill = [true]\n", "varies step 'distill', which the recipe does not have"),
        ("[sweep.grid]\nprune = [0.5]\n", "sweep, prune = 0.5"),
        ("[sweep]\nlist = 3\n", "sweep.list is no list"),
        ("[[sweep.list]]\nname = '/'\n", "name = '/'"),
        ("[[sweep.list]]\nname = 'a'\n[[sweep.list]]\nname = 'a'\n", "two variants are called 'a'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plan(tmp_path, table)
    assert said in str(raised.value)


def test_a_recipe_with_a_sweep_also_runs_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[sweep.grid]\ntrain.width = [0.5]\n" + STEPS)
    assert [step.step for step in recipes.load(str(path)).steps][:2] == ["data", "train"]
    path.write_text("sweep = 3\n" + STEPS)
    with pytest.raises(ConfigError, match="sweep = 3"):
        recipes.load(str(path))


BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def compare_networks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("compare_networks")


def test_the_comparison_of_networks_is_a_sweep(tmp_path: Path, compare_networks: Any) -> None:
    path = tmp_path / "networks.toml"
    compare_networks.write(path, compare_networks.recipe(8, compare_networks.NETWORKS))
    found = variants.read(recipes.load(str(path))).variants
    assert len(found) == 3 * (8 + 3)
    by_name = {variant.name: {step.step: step.options for step in variant.steps} for variant in found}
    pruned = by_name["squeezenet-taught-entropy-50"]
    assert pruned["train"]["network"] == "plain"
    assert pruned["distill"]["network"] == "squeezenet"
    assert (pruned["prune"]["by"], pruned["prune"]["to"]) == ("entropy", 0.5)
    assert "qat" not in pruned
    assert len(by_name["cnn-plain"]["quantize"]["recipes"]) == 5
    # One training for each network, alone and taught, and one for the teacher.
    begun = {trunk.name: trunk for trunk in variants.trunks(found).values()}
    assert sorted(trunk.steps[-1].step for trunk in begun.values()) == ["distill"] * 3 + ["train"] * 3
    assert len({trunk.parent.name for trunk in begun.values() if trunk.parent}) == 1


def test_its_tables_and_plots_have_every_file(compare_networks: Any) -> None:
    figures = json.loads((BENCHMARKS / "results" / "networks.json").read_text())
    ways, shrunk = (table.splitlines()[2:] for table in compare_networks.tables(figures).split("\n\n"))
    assert (len(ways), len(shrunk)) == (3 * (6 + 1), 3 * 9)
    assert compare_networks.draw(figures).count("<circle") == 2 * 3 * 11
