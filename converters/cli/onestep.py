"""The command of a single step, made of the step's own options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from converters import job, steps
from converters.cli.base import ConvertCommand, execute, work_option
from converters.recipes import Planned
from converters.steps.base import Option
from converters.work import Work
from edgecam.cli.base import HeadedOption


def flag(option: Option) -> click.Option:
    """A step's option as a flag. Not given, it is None: then the job or the default speaks."""
    kind: Any = option.kind
    if option.choices:
        kind = click.Choice(list(option.choices))
    elif option.kind is Path:
        kind = click.Path()
    name = option.name.replace("_", "-")
    if option.kind is bool:
        return HeadedOption([f"--{name}/--no-{name}", option.name], default=None, help=option.help)
    text = option.help
    if option.default not in (None, "", (), []):
        shown = ", ".join(map(str, option.default)) if option.many else option.default
        text = f"{text.rstrip('.')}; default {shown}."
    return HeadedOption([f"--{name}", option.name], type=kind, multiple=option.many, default=None, help=text)


def step_command(name: str) -> click.Command:
    """``edgecam-convert NAME --work FOLDER``."""
    step = steps.load(name)

    def callback(work: Path, again: bool, **flags: Any) -> None:
        said = {key: value for key, value in flags.items() if value not in (None, ())}
        folder = Work(work)
        execute(folder, job.load(folder), [Planned(name, said)], again=again)

    params: list[click.Parameter] = [
        *(flag(option) for option in step.options if option.name not in job.KEYS),
        work_option(required=True, help="The work folder of an earlier run."),
        again_option(),
    ]
    return ConvertCommand(name, params=params, callback=callback, help=steps.SUMMARIES[name])


def again_option() -> click.Option:
    return HeadedOption(["--again"], is_flag=True, heading="Where", help="Run also what is done already.")
