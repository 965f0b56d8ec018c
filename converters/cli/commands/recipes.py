"""``edgecam-convert recipes``."""

from __future__ import annotations

from converters.cli.base import ConvertCommand
from edgecam.cli import console


def _callback() -> None:
    from converters import recipes as shipped

    rows = [(name, shipped.load(name)) for name in shipped.names()]
    console.table(
        ["recipe", "steps", "what for"],
        [(name, " ".join(plan.step for plan in found.steps), found.summary) for name, found in rows],
    )
    print()
    console.table(
        ["quantisation", "what for"],
        [(name, shipped.quantization(name).summary) for name in shipped.quantization_names()],
    )


recipes = ConvertCommand("recipes", callback=_callback, help="List the recipes and the ways to quantise.")
