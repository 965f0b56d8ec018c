"""``edgecam-convert quantize``: the short way in, and the single step of that name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from converters import steps
from converters.cli.base import ConvertCommand, execute, job_options, merged, work_folder, work_option
from converters.cli.onestep import again_option, flag
from converters.job import KEYS, Job
from edgecam.errors import UsageError

_RECIPE = "quantize"
#: step -> its options that the short way takes too
_TAKEN = {
    "quantize": [option for option in steps.load("quantize").options if option.name not in KEYS],
    "evaluate": [
        option
        for option in steps.load("evaluate").options
        if option.name in ("max_drop", "max_class_drop", "repair")
    ],
}


def _of(step: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a step."""
    names = {option.name for option in _TAKEN.get(step, ())}
    return {key: value for key, value in said.items() if key in names}


def _callback(model: str | None, work: Path | None, again: bool, **flags: Any) -> None:
    from converters import job as jobs
    from converters import recipes
    from converters.recipes import Planned
    from converters.work import Work

    said = {key: value for key, value in flags.items() if value not in (None, ())}
    if model is None:
        if work is None:
            raise UsageError("no model", "edgecam-convert quantize MODEL --data PICTURES")
        if _of("evaluate", said):
            raise UsageError("nothing is judged without a model", "edgecam-convert evaluate --work FOLDER")
        folder = Work(work)
        execute(folder, jobs.load(folder), [Planned("quantize", _of("quantize", said))], again=again)
        return
    found = recipes.load(_RECIPE)
    job = merged({**found.job, "model": model}, said)
    if not job.data:
        raise UsageError("no pictures", "add --data FOLDER with a folder of pictures per class")
    planned = [Planned(plan.step, {**plan.options, **_of(plan.step, said)}) for plan in found.steps]
    _check(job, next(plan.options for plan in planned if plan.step == "quantize"))
    execute(work_folder(work, job), job, planned, again=again)


def _check(job: Job, options: Mapping[str, Any]) -> None:
    """What can be said before thousands of pictures are looked at."""
    from converters import conventions, recipes

    if not Path(job.model).exists():
        raise UsageError(f"{job.model} does not exist", "name a Keras model")
    if job.preprocess:
        conventions.parse(job.preprocess)
    for name in options.get("recipes", ()):
        recipes.quantization(name)


quantize = ConvertCommand(
    "quantize",
    callback=_callback,
    help="From a Keras model and pictures to a proven int8 model: check and split the pictures, quantise,"
    " judge against float, embed contract and report card, make the report. Without MODEL only the step"
    " quantize is run, in the work folder of an earlier run.",
    examples="""
    edgecam-convert quantize flowers.keras --data flowers/
    edgecam-convert quantize flowers.keras --data flowers/ --preprocess mobilenet_v2 --recipes dynamic
    edgecam-convert quantize flowers.keras --data flowers/ --repair --max-drop 0.5
    edgecam-convert quantize --work flowers-work --recipes int8 --recipes float16
    """,
    params=[
        click.Argument(["model"], required=False),
        *(flag(option) for options in _TAKEN.values() for option in options),
        *job_options(),
        work_option(help="Folder for all results; NAME-work if not given."),
        again_option(),
    ],
)
