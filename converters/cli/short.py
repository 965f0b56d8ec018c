"""``edgecam-convert train|distill|prune|qat``: the short way from pictures, and the single steps of those
names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from converters import job as jobs
from converters import steps
from converters.cli.base import ConvertCommand, execute, job_options, merged, work_folder, work_option
from converters.cli.onestep import again_option, flag
from converters.job import KEYS, Job
from converters.recipes import Planned
from converters.work import Work
from edgecam.cli.base import HeadedOption
from edgecam.errors import EdgecamError, UsageError

#: steps after the one that makes the model -> their options that the short way takes too
_AFTER: dict[str, tuple[str, ...]] = {
    "quantize": ("recipes", "calibration"),
    "evaluate": ("max_drop", "max_class_drop", "repair"),
    "embed": (),
    "report": (),
}
_NETWORK, _DETECTOR = "mobilenet_v2", "ssd_mobilenet_v2"
_SMALL = ("cnn", "plain", "resnet")  # made for 32x32
_SIDE = 96  # of the others, unless --input-size speaks
_WHAT = {
    "train": "check and split the pictures, train a network on them",
    "distill": "check and split the pictures, train a small network under a teacher",
    "prune": "check and split the pictures, prune a trained model and fine-tune it",
    "qat": "check and split the pictures, fine-tune a trained model for int8",
}
_EXAMPLES = {
    "train": """
    edgecam-convert train --data flowers/
    edgecam-convert train --data flowers/ --network cnn --input-size 64 --epochs 40
    edgecam-convert train --work flowers-work --rate 0.001
    """,
    "distill": """
    edgecam-convert distill --data flowers/ --teacher large.keras --network cnn
    edgecam-convert distill --work flowers-work --network mobilenet_v2 --width 0.35
    """,
    "prune": """
    edgecam-convert prune --model flowers.keras --data flowers/ --to 0.5
    edgecam-convert prune --work flowers-work --to 0.3 --by entropy
    """,
    "qat": """
    edgecam-convert qat --model flowers.keras --data flowers/
    edgecam-convert qat --work flowers-work
    """,
}


def short_command(name: str) -> click.Command:
    """``edgecam-convert NAME --data PICTURES``, or ``--work FOLDER`` for the step alone."""
    own = [option for option in steps.load(name).options if option.name not in KEYS]
    after = [
        option
        for step, taken in _AFTER.items()
        for option in steps.load(step).options
        if option.name in taken
    ]

    def callback(work: Path | None, again: bool, **flags: Any) -> None:
        said = {key: value for key, value in flags.items() if value not in (None, ())}
        mine = {option.name: said[option.name] for option in own if option.name in said}
        if "data" in said:
            _whole(name, work, said, mine, again)
            return
        if work is None:
            raise UsageError("no pictures", f"edgecam-convert {name} --data PICTURES, or --work FOLDER")
        later = [key for key in said if key not in mine]
        if later:
            raise UsageError(
                f"--{later[0].replace('_', '-')} is for a run from pictures",
                f"edgecam-convert {name} --data PICTURES",
            )
        execute(Work(work), jobs.load(Work(work)), [Planned(name, mine)], again=again)

    return ConvertCommand(
        name,
        callback=callback,
        help=f"From pictures to a proven int8 model: {_WHAT[name]}, quantise, judge against float, embed"
        " contract and report card, make the report. With --work and without --data only this step is run, in"
        " the work folder of an earlier run.",
        examples=_EXAMPLES[name],
        params=[
            *(flag(option) for option in own),
            *(flag(option) for option in after),
            HeadedOption(["--model"], metavar="PATH", heading="Model and pictures", help="The model."),
            *job_options(),
            work_option(help="Folder for all results; NAME-work if not given."),
            again_option(),
        ],
    )


def _whole(name: str, work: Path | None, said: dict[str, Any], mine: dict[str, Any], again: bool) -> None:
    """All steps from the pictures to the report."""
    job = merged({}, said)
    _check(name, job, mine)
    if name in ("train", "distill"):
        mine = {**_design(name, job, mine), **mine}
    data = Path(job.data).absolute()
    # Said, so that the final file is not called after the step.
    job = replace(job, name=job.title or (data.name if data.is_dir() else data.stem))
    planned = [Planned("data"), Planned(name, mine)]
    for step, taken in _AFTER.items():
        planned.append(Planned(step, {key: said[key] for key in taken if key in said}))
    execute(work_folder(work, job), job, planned, again=again)


def _check(name: str, job: Job, mine: Mapping[str, Any]) -> None:
    """What can be said before thousands of pictures are looked at.

    Raises:
        UsageError: a model that is needed is not named, or not there.
    """
    if not Path(job.data).exists():
        raise UsageError(f"{job.data} does not exist", "name a folder with a folder of pictures per class")
    if name in ("prune", "qat") and not job.model:
        raise UsageError("no model is named", f"edgecam-convert {name} --model FILE --data PICTURES")
    if name == "distill" and not (job.model or mine.get("teacher")):
        raise UsageError("no teacher is named", "add --teacher FILE")
    if name == "distill" and not mine.get("network") and not mine.get("teacher"):
        raise UsageError("no student is named", "add --network NAME")
    for path in (job.model, mine.get("teacher"), mine.get("weights")):
        if path and path not in ("itself", "imagenet") and not Path(path).exists():
            raise UsageError(f"{path} does not exist", "name a Keras model")


def _design(name: str, job: Job, mine: Mapping[str, Any]) -> dict[str, Any]:
    """The network that is trained where none is named, and its input."""
    network = mine.get("network", "")
    if not network and not (job.model and name == "train"):
        network = _DETECTOR if _boxes(job) else _NETWORK
    chosen = {"network": network} if network else {}
    if network and network not in _SMALL and not network.startswith("ssd_") and not job.input_size:
        chosen["input_size"] = [_SIDE, _SIDE]
    return chosen


def _boxes(job: Job) -> bool:
    """Whether the data has boxes. What is wrong with it is for the step ``data`` to say."""
    from converters.data import build

    try:
        return job.task == "detect" or build.listing(Path(job.data)).task == "detect"
    except EdgecamError:
        return False
