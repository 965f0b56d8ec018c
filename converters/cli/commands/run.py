"""``edgecam-convert run RECIPE``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from converters import steps
from converters.cli.base import ConvertCommand, execute, job_options, merged, work_folder, work_option
from converters.cli.onestep import again_option
from converters.recipes import Planned
from converters.steps.train import BACKEND
from edgecam.cli.base import HeadedOption
from edgecam.errors import UsageError


def _callback(
    recipe: str, model: str | None, work: Path | None, backend: str | None, again: bool, **flags: Any
) -> None:
    from converters import recipes
    from converters.training import chain

    found = recipes.load(recipe)
    job = merged(found.job, {"model": model, **flags})
    if not job.model and any(plan.step in chain.CHAIN for plan in found.steps):
        job = replace(job, name=job.title or found.name)
    elif not job.model:
        raise UsageError(f"recipe {recipe!r} names no model", "add --model FILE")
    planned = [_trained_by(backend, plan) for plan in found.steps] if backend else found.steps
    execute(work_folder(work, job), job, planned, again=again)


def _trained_by(backend: str, plan: Planned) -> Planned:
    """The step with Keras's backend, if it trains."""
    known = {option.name for option in steps.load(plan.step).options}
    return replace(plan, options={**plan.options, "backend": backend}) if BACKEND.name in known else plan


run = ConvertCommand(
    "run",
    callback=_callback,
    help="Run the steps of a recipe: one that is shipped, by name, or a TOML file."
    " What is done already is passed over; flags go over what the recipe says.",
    examples="""
    edgecam-convert run compare --model flowers.keras --data flowers/
    edgecam-convert run my-recipe.toml
    """,
    params=[
        click.Argument(["recipe"]),
        HeadedOption(["--model"], metavar="PATH", heading="Model and pictures", help="The model to convert."),
        *job_options(),
        HeadedOption(["--backend"], type=click.Choice(BACKEND.choices), heading="Where", help=BACKEND.help),
        work_option(help="Folder for all results; NAME-work if not given."),
        again_option(),
    ],
)
