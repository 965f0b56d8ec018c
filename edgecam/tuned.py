"""What ``edgecam bench --tune`` found best on this machine, kept from start to start.

One file in :func:`edgecam.state.folder` holds a choice for each model. A choice counts only where it was
measured: on the same machine with as many cores, for the same model file, with the same interpreter.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgecam import bench, state

log = logging.getLogger(__name__)

NAME = "tuning.json"
_SCHEMA = 1
_MOST = 64  # choices that are kept, the newest


@dataclass(frozen=True)
class Setup:
    """How a model is run.

    Attributes:
        threads: of the interpreter.
        cpus: cores that all of edgecam runs on, () for all that it may use.
    """

    threads: int
    cpus: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """For people: ``3 threads, cores 4-7``."""
        cores = f", cores {spans(self.cpus)}" if self.cpus else ""
        return f"{self.threads} thread{'s' * (self.threads != 1)}{cores}"


@dataclass(frozen=True)
class Place:
    """Where a choice counts.

    Attributes:
        machine: the board, or its processor.
        cores: that this process may use.
        model: SHA-256 of the model's file.
        runtime: interpreter package and version.
    """

    machine: str
    cores: int
    model: str
    runtime: str

    @classmethod
    def here(cls, model: str, runtime: str) -> Place:
        return cls(bench.cpu_name(), bench.cores(), model, runtime)


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        fps: frames a second with it.
        usual_fps: frames a second with what is usual, in the same minutes.
        measured: when, as ``2026-11-26T12:00:00+00:00``.
    """

    place: Place
    setup: Setup
    fps: float
    usual_fps: float
    measured: str

    @property
    def words(self) -> str:
        """For people: ``tuned on 2026-11-26: 3 threads``."""
        return f"tuned on {self.measured[:10]}: {self.setup.words}"


def now() -> str:
    """The time of a choice that is made now."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def file() -> Path:
    """Where choices are kept."""
    return state.folder() / NAME


def find(place: Place, path: Path | None = None) -> tuple[Choice | None, str]:
    """What was chosen for a place, and what the user should know where it cannot be used ("" for nothing)."""
    path = path or file()
    try:
        choices = read(path)
    except OSError as error:
        return None, f"{path} cannot be read ({error.strerror}) and is left out"
    except ValueError as error:
        log.debug("%s", path, exc_info=error)
        return None, f"{path} is damaged and left out: edgecam bench --tune makes it anew"
    ours = [choice for choice in choices if choice.place.model == place.model]
    for choice in ours:
        if choice.place == place and set(choice.setup.cpus) <= os.sched_getaffinity(0):
            return choice, ""
    here = [choice for choice in ours if choice.place.machine == place.machine]
    if not here:  # never tuned here; what a disk brings along from another machine is nobody's mistake
        return None, ""
    why = _other(here[-1].place, place)
    return None, f"what was tuned is left out ({why}): edgecam bench --tune measures anew"


def _other(then: Place, place: Place) -> str:
    if then.cores != place.cores:
        return f"it was with {then.cores} cores, now there are {place.cores}"
    if then.runtime != place.runtime:
        return f"it was with {then.runtime}, now there is {place.runtime}"
    return "its cores are not to be had"


def keep(choice: Choice, path: Path | None = None) -> Path:
    """Write a choice down in place of the one before for the same model and machine.

    Raises:
        OSError: the file cannot be written.
    """
    path = path or file()
    try:
        choices = read(path)
    except ValueError:
        choices = []
    same = (choice.place.machine, choice.place.model)
    choices = [old for old in choices if (old.place.machine, old.place.model) != same]
    kept = [*choices, choice][-_MOST:]
    data = {"schema": _SCHEMA, "choices": [asdict(entry) for entry in kept]}
    state.write(path, json.dumps(data, indent=1).encode(), mode=0o644)
    return path


def read(path: Path) -> list[Choice]:
    """All choices, the oldest first; none where there is no file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return []
    choices = data.get("choices") if isinstance(data, dict) and data.get("schema") == _SCHEMA else None
    if not isinstance(choices, list):
        raise ValueError("not a file of choices")
    return [_choice(entry) for entry in choices]


def _choice(entry: Any) -> Choice:
    if not isinstance(entry, dict):
        raise ValueError(f"not a choice: {entry!r}")
    place, setup = _record(Place, entry.get("place")), _record(Setup, entry.get("setup"))
    choice: Choice = _record(Choice, entry | {"place": place, "setup": setup})
    if not 1 <= choice.setup.threads <= 256:
        raise ValueError(f"not a number of threads: {choice.setup}")
    return choice


_KINDS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float),
    "tuple[int, ...]": lambda value: (
        isinstance(value, tuple) and all(type(item) is int and item >= 0 for item in value)
    ),
}


def _record(kind: Any, values: Any) -> Any:
    """A dataclass of plain values, each of the type that it has there."""
    wanted = {field.name: str(field.type) for field in fields(kind)}
    if not isinstance(values, dict) or values.keys() != wanted.keys():
        raise ValueError(f"not a {kind.__name__}: {values!r}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for name, value in values.items():
        if wanted[name] in _KINDS and not _KINDS[wanted[name]](value):
            raise ValueError(f"{name} of a {kind.__name__} is {value!r}")
    return kind(**values)


@contextlib.contextmanager
def applied(setup: Setup | None, report: Callable[[str], None] = log.info) -> Iterator[None]:
    """The process' cores as a choice has them while inside, then as they were.

    The interpreter's threads are not in hand here: it is made with them.

    Args:
        report: told where the system does not let the cores be chosen, as in the service's sandbox.
    """
    if setup is None or not setup.cpus:
        yield
        return
    before = sorted(os.sched_getaffinity(0))
    _pin(setup.cpus, report)
    try:
        yield
    finally:
        _pin(before, log.debug)


def _pin(cpus: Sequence[int], report: Callable[[str], None]) -> None:
    """Put every thread there is on these cores; those that they start inherit it."""
    try:
        for entry in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(entry.name), cpus)
    except OSError as error:
        why = f"may not run on cores {spans(cpus)} alone ({error.strerror})"
        report(f"{why}: CPUAffinity={spans(cpus)} in the unit does that")


def spans(numbers: Sequence[int]) -> str:
    """``0, 1, 2, 5`` as ``0-2,5``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
