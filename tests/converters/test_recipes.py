"""Recipes: those that are shipped, and what is wrong with one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import recipes, steps
from edgecam.errors import ConfigError, UnknownNameError


def test_shipped_recipes_are_right() -> None:
    assert {"quantize", "compare", "edgetpu"} <= set(recipes.names())
    for name in recipes.names():
        found = recipes.load(name)
        assert found.summary.endswith(".")
        order = [plan.step for plan in found.steps]
        assert order == sorted(order, key=list(steps.STEPS).index)
    issue = {"int8", "int8-io-int8", "int8-float-fallback", "dynamic", "float16", "int16x8", "codebook"}
    assert issue <= set(recipes.quantization_names())
    for name in recipes.quantization_names():
        assert recipes.quantization(name).summary.endswith(".")


def test_every_step_can_be_loaded() -> None:
    for name in steps.STEPS:
        step = steps.load(name)
        assert step.name == name
        assert steps.SUMMARIES[name]
        assert len({option.name for option in step.options}) == len(step.options)


def test_the_default_int8_is_what_accelerators_take() -> None:
    found = recipes.quantization("int8")
    assert (found.weights, found.activations, found.image) == ("int8", "int8", "uint8")
    assert not found.float_fallback
    assert found.calibrated
    assert not recipes.quantization("dynamic").calibrated


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = 1", "no steps"),
        ("nonsense = 1\n[[step]]\nrun = 'data'", "nonsense"),
        ("[[step]]\nrun = 'quantise'", "did you mean 'quantize'"),
        ("[[step]]\nrun = 'quantize'\nrecipe = 'int8'", "did you mean 'recipes'"),
        ("[[step]]\nrecipes = ['int8']", "without a name"),
        ("step = 3", "no steps"),
        ("[[step", "no valid TOML"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        recipes.load(str(path))
    assert str(path) in str(caught.value)


def test_paths_in_a_recipe_start_at_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("model = 'm.keras'\ndata = '/pictures'\nname = 'n'\n[[step]]\nrun = 'data'\nseed = 4")
    found = recipes.load(str(path))
    assert found.job == {"model": str(tmp_path / "m.keras"), "data": "/pictures", "name": "n"}
    assert found.steps[0].options == {"seed": 4}


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quantize'"):
        recipes.load("quantise")
    with pytest.raises(UnknownNameError, match="did you mean 'float16'"):
        recipes.quantization("float61")
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        recipes.load("none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("weights = 'int4'", "one of int8, float16, float32"),
        ("weight = 'int8'", "did you mean 'weights'"),
        ("float_fallback = 1", "type bool"),
        ("activations = 'int8'", "need int8 weights"),
        ("weights = 'int8'\nimage = 'uint8'", "needs int8 activations"),
        ("weights = 'int8'\ncodebook = 1", "2 to 255"),
        ("codebook = 16", "with int8 weights"),
    ],
)
def test_what_is_wrong_in_a_way_to_quantise_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        recipes.quantization(str(path))
    assert str(path) in str(caught.value)


def test_paths_of_a_step_start_at_the_recipe_too(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('weights = "int8"\n')
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[[step]]\nrun = "quantize"\nrecipes = ["mine.toml", "int8"]\ncalibrate_on = "work:some"\n'
        '[[step]]\nrun = "embed"\ngolden_from = "golden"\n'
    )
    quantize, embed = recipes.load(str(recipe)).steps
    assert quantize.options["recipes"] == [str(tmp_path / "mine.toml"), "int8"]
    assert quantize.options["calibrate_on"] == "work:some"
    assert embed.options["golden_from"] == str(tmp_path / "golden")
    assert recipes.of_variant("mine", quantize.options["recipes"]).weights == "int8"
    assert recipes.of_variant("int8", quantize.options["recipes"]).image == "uint8"
