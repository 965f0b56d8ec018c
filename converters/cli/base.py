"""What the commands of ``edgecam-convert`` share: the job's flags, the report to the terminal, the run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from converters import job as jobs
from converters.job import Job
from converters.recipes import Planned
from converters.steps.base import Advance, numbers, table_lines
from converters.work import Work
from edgecam.cli import console
from edgecam.cli.base import Command, HeadedOption, is_quiet


class ConvertCommand(Command):
    """A command whose log also holds what the converters say."""

    def invoke(self, ctx: click.Context) -> Any:
        root = logging.getLogger("converters")
        root.parent = logging.getLogger("edgecam")
        return super().invoke(ctx)


class Terminal:
    """See :class:`converters.steps.base.Report`."""

    def line(self, text: str) -> None:
        console.line(text)

    def warn(self, text: str) -> None:
        console.line(f"warning: {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """See :func:`converters.steps.base.show_table`."""
        if sys.stderr.isatty() and not is_quiet():
            console.rich_table(columns, rows, right=numbers(columns, rows), stderr=True)
        else:
            for text in table_lines(columns, rows):
                console.line(text)

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        return console.progress(what)


def work_option(**more: Any) -> click.Option:
    return HeadedOption(
        ["--work"], type=click.Path(path_type=Path), metavar="FOLDER", heading="Where", **more
    )


def job_options() -> list[click.Option]:
    """Flags that say what is converted; what is not given is left to the recipe."""

    def option(flag: str, help: str, **more: Any) -> click.Option:
        return HeadedOption([flag], heading="Model and pictures", help=help, **more)

    return [
        option("--data", "Pictures: a folder per class, or a file that names them.", metavar="PATH"),
        option("--name", "Name of the final file; that of the model if not given."),
        option("--task", "What the model does.", type=click.Choice(["classify", "detect"])),
        option(
            "--preprocess",
            "How the model wants its pictures: a network of keras.applications (mobilenet_v2, resnet, ...),"
            " a range (-1..1, 0..1, 0..255), or MEAN,STD. Found out if not given.",
        ),
        option(
            "--resize",
            "How a picture is laid into the input.",
            type=click.Choice(["stretch", "letterbox", "crop"]),
        ),
        option("--input-size", "Input of a model whose size is free: 224 or WIDTHxHEIGHT.", metavar="SIZE"),
        option("--labels", "The model's labels, if they are not the data's classes.", metavar="FILE"),
        option("--detector", "What a detector's outputs are, if not STEM.detector.json.", metavar="FILE"),
        option("--custom", "Python file that defines and registers the model's own layers.", metavar="FILE"),
        option("--allow-lambda", "Run Python code that the model file holds.", is_flag=True, default=None),
        option("--seed", "Of the split and of every sample.", type=int),
        option("--licence", "Licence of the model, for the contract."),
        option("--description", "One line about the model, for the contract."),
    ]


def merged(recipe: Mapping[str, Any], flags: Mapping[str, Any]) -> Job:
    """The job of a recipe with the flags over it."""
    said = {key: value for key, value in flags.items() if key in jobs.KEYS and value is not None}
    return jobs.from_mapping({**recipe, **said})


def work_folder(path: Path | None, job: Job) -> Work:
    """The folder that is named, else one named after the model in the current folder."""
    return Work(path or Path(f"{job.title}-work"))


def execute(work: Work, job: Job, planned: Sequence[Planned], *, again: bool) -> None:
    """Run steps with the terminal as report; an interrupted run says how to go on."""
    from converters import runner

    try:
        runner.run(work, job, planned, Terminal(), again=again)
    except KeyboardInterrupt:
        console.error(
            f"interrupted; what is done is kept in {work.root}, the same command goes on from there"
        )
        raise
