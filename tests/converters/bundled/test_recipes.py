"""Recipes, calibration views and cards."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from converters import flatmodel
from converters.bundled import cards, photographs
from converters.bundled.__main__ import MODULES, ROOT
from converters.bundled.recipe import Recipe, finish, named
from converters.embed import embed
from edgecam import contract, metadata
from edgecam.errors import ModelError

MODELS = ROOT / "models"


def recipe(name: str) -> Recipe:
    found = import_module(f"converters.bundled.{MODULES[name]}").RECIPE
    assert isinstance(found, Recipe)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_file_has_its_recipe_s_contract(name: str) -> None:
    """Change a recipe, and this says that ``make models`` is due."""
    path = MODELS / f"{name}.tflite"
    spec = contract.read(path)
    assert spec is not None
    assert spec.name == name
    assert replace(spec, outputs={}, golden=()) == recipe(name).spec
    assert tuple(spec.outputs) == tuple(recipe(name).roles)
    data = path.read_bytes()
    appended = metadata.Appended(data)
    files = {sample["picture"]: appended.read(sample["picture"]) or b"" for sample in spec.golden}
    bare = flatmodel.bare(data)
    whole = replace(named(bare, recipe(name).spec, recipe(name).roles), golden=spec.golden)
    assert embed(bare, whole, recipe(name).roles, files) == data


def test_a_file_without_golden_samples() -> None:
    """The float twin is made so."""
    bare = flatmodel.bare((MODELS / "face.tflite").read_bytes())
    data = finish(bare, recipe("face").spec, recipe("face").roles)
    assert metadata.Appended(data).names == ("labels.txt", "edgecam.json")


def test_views_are_fixed_parts_each_with_its_mirror() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (60, 90, 3)).astype(np.uint8)
    views = list(photographs.views(picture))
    assert len(views) == 22
    np.testing.assert_array_equal(views[0], picture)
    for straight, mirrored in zip(views[::2], views[1::2], strict=True):
        np.testing.assert_array_equal(straight[:, ::-1], mirrored)
        assert straight.flags.c_contiguous
        assert mirrored.flags.c_contiguous
    assert [view.shape[:2] for view in views[2::10]] == [(40, 60), (30, 45)]
    np.testing.assert_array_equal(views[8], picture[20:, 30:])
    np.testing.assert_array_equal(views[20], picture[15:45, 22:67])


def test_facts_go_into_a_card_and_come_out() -> None:
    card = f"# Title\n\n{cards.BEGIN}\nold\n{cards.END}\n\nText with | bars |.\n"
    table = "| | |\n| --- | --- |\n| size | 5 bytes |\n| input | a, b |"
    filled = cards.with_facts(card, table)
    assert cards.read_facts(filled) == {"size": "5 bytes", "input": "a, b"}
    assert filled.startswith("# Title\n\n")
    assert filled.endswith("\n\nText with | bars |.\n")
    assert cards.with_facts(filled, table) == filled


def test_a_card_without_a_place_for_facts() -> None:
    with pytest.raises(ModelError, match="no place"):
        cards.with_facts("# Title\n", "")


def test_facts_of_a_model_without_contract(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(flatmodel.bare((MODELS / "face.tflite").read_bytes()))
    with pytest.raises(ModelError, match="no contract"):
        cards.facts(path)
