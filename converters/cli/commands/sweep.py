"""``edgecam-convert sweep RECIPE``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from converters.cli.base import ConvertCommand, Terminal, job_options, merged, work_option
from converters.cli.onestep import again_option
from edgecam.cli import console
from edgecam.cli.base import HeadedOption
from edgecam.errors import UsageError


def _callback(
    recipe: str, model: str | None, work: Path | None, address: str, travel: bool, again: bool, **flags: Any
) -> None:
    from converters import recipes
    from converters.sweeping import variants
    from converters.sweeping.sweep import Sweep
    from converters.training import chain
    from converters.work import Work

    found = recipes.load(recipe)
    plan = variants.read(found)
    job = merged(found.job, {"model": model, **flags})
    trains = any(step.step in chain.CHAIN for step in found.steps)
    if not job.model and not trains:
        raise UsageError(f"recipe {recipe!r} names no model", "add --model FILE")
    job = replace(job, name=job.title or found.name)
    folder = Work(work or Path(f"{job.title}-sweep"))
    try:
        Sweep(job.title, folder, job, plan, Terminal(), address, travel, again).run()
    except KeyboardInterrupt:
        console.error(
            f"interrupted; what is done is kept in {folder.root}, the same command goes on from there"
        )
        raise


sweep = ConvertCommand(
    "sweep",
    callback=_callback,
    help="Try every variant that a recipe's table [sweep] names, as tasks on Ray: on this machine, or on a"
    " cluster by --address. What is done already is passed over; a variant whose machine is lost is tried"
    " again elsewhere; the report shows what no other one beats in accuracy, latency and size.",
    examples="""
    edgecam-convert sweep my-sweep.toml --data flowers/
    edgecam-convert sweep my-sweep.toml --data flowers/ --address 192.168.1.5:6379
    """,
    params=[
        click.Argument(["recipe"]),
        HeadedOption(
            ["--model"], metavar="PATH", heading="Model and pictures", help="The model to begin with."
        ),
        *job_options(),
        work_option(help="Folder for all results; NAME-sweep if not given."),
        HeadedOption(
            ["--address"],
            default="",
            heading="Where",
            help="Of a Ray cluster, HOST:6379; this machine if not given.",
        ),
        HeadedOption(
            ["--travel"],
            is_flag=True,
            heading="Where",
            help="Use no common disk: pictures and results travel through Ray.",
        ),
        again_option(),
    ],
)
