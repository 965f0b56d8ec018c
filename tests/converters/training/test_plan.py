"""A plan is the knobs of a step, and its checks."""

from __future__ import annotations

from dataclasses import fields

import pytest

from converters import recipes, steps
from converters.training import plan as plans
from converters.training.plan import Plan
from edgecam.errors import UsageError


def test_every_knob_is_an_option_with_the_same_default() -> None:
    options = {option.name: option.default for option in plans.OPTIONS}
    assert options == {entry.name: entry.default for entry in fields(Plan)}


def test_every_option_has_a_line_of_help_and_steps_share_no_name() -> None:
    for name in ("train", "distill"):
        names = [option.name for option in steps.load(name).options]
        assert len(names) == len(set(names))
        assert all(option.help.endswith(".") for option in steps.load(name).options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("rate", 0.0),
        ("warmup", 1.5),
        ("ema", 1.0),
        ("shift", 1.0),
        ("smoothing", 1.0),
    ],
)
def test_senseless_values_are_named(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"{name} = {value:g}: give a value from"):
        Plan.from_options({name: value})


@pytest.mark.parametrize("name", ["things10", "things10-teacher"])
def test_shipped_recipes_hold_good_plans(name: str) -> None:
    trained = [step for step in recipes.load(name).steps if step.step in ("train", "distill")]
    assert trained
    for step in trained:
        Plan.from_options(step.options)
