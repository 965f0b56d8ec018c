"""What is to be converted: said once, known to every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from converters.work import Work
from edgecam.errors import UsageError

FILE = "job.json"


@dataclass(frozen=True)
class Job:
    """The top of a recipe, over which the command line's flags go.

    Attributes:
        model: ``.keras``, ``.h5``, a SavedModel's folder, or a tfjs ``model.json``.
        data: pictures, see :mod:`converters.dataset`.
        name: of the final file; the model's stem if not given.
        task: ``classify`` or ``detect``; "" to tell by the data.
        preprocess: how pictures are normalised, see :mod:`converters.conventions`; "" to find out.
        resize: ``stretch``, ``letterbox`` or ``crop``.
        input_size: (height, width) for a model with a free size, else empty.
        labels: a text file with the model's labels, one a line; "" where they are the data's classes.
        custom: a Python file with the model's custom layers, or "".
        detector: what a detector's outputs are, see :mod:`converters.detector`; "" for the file beside it.
        allow_lambda: load Python code that the model file holds.
        seed: of the split and of every sample.
        version, description, licence, origin: for the contract.
    """

    model: str = ""
    data: str = ""
    name: str = ""
    task: str = ""
    preprocess: str = ""
    resize: str = "stretch"
    input_size: tuple[int, ...] = ()
    labels: str = ""
    custom: str = ""
    detector: str = ""
    allow_lambda: bool = False
    seed: int = 0
    version: str = "1.0.0"
    description: str = ""
    licence: str = ""
    origin: str = ""

    @property
    def title(self) -> str:
        """The name of the final file, without suffix."""
        return self.name or _stem(self.model)


def _stem(model: str) -> str:
    path = Path(model)
    return (path.parent.name or path.stem) if path.name == "model.json" else path.stem


KEYS = tuple(entry.name for entry in fields(Job))


def from_mapping(values: Mapping[str, Any]) -> Job:
    """A job from TOML, JSON or flags, types checked.

    Raises:
        UsageError: a value is of the wrong type.
    """
    kept = dict(values)
    if "input_size" in kept:
        kept["input_size"] = size(kept["input_size"])
    for entry in fields(Job):
        default = entry.default
        value = kept.get(entry.name, default)
        if type(value) is not type(default):
            raise UsageError(f"{entry.name} = {value!r}", f"give a value of type {type(default).__name__}")
    return Job(**kept)


def size(value: Any) -> tuple[int, ...]:
    """``224``, ``"224x160"`` (width x height) or ``[160, 224]`` (height, width) as (height, width)."""
    try:
        if isinstance(value, str) and "x" in value:
            width, height = (int(part) for part in value.split("x"))
            found: tuple[int, ...] = (height, width)
        elif isinstance(value, list | tuple):
            found = tuple(int(part) for part in value)
        else:
            found = (int(value), int(value))
    except (TypeError, ValueError):
        found = (0,)
    if found and (len(found) != 2 or not all(8 <= side <= 8192 for side in found)):
        raise UsageError(f"input size {value!r}", "give pixels as 224 or WIDTHxHEIGHT, 8 to 8192")
    return found


def load(work: Work) -> Job:
    """The job of a work folder.

    Raises:
        UsageError: there is none.
    """
    values = work.read_json(FILE)
    if values is None:
        raise UsageError(
            f"{work.root} is not a work folder", "begin with: edgecam-convert quantize MODEL --data PICTURES"
        )
    return from_mapping({key: value for key, value in values.items() if key in KEYS})


def save(work: Work, job: Job) -> None:
    """Note the job; unchanged, the file is not touched."""
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(job).items()}
    if work.read_json(FILE) != values:
        work.write_json(FILE, values)
