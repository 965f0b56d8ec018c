"""What a recipe's table ``[sweep]`` says: the variants, as data.

::

    [sweep]
    cpus = 1              # of a variant; also the threads of its training
    retries = 3           # times that a variant whose machine was lost is tried again
    shard = 2000          # test pictures that are judged as one task

    [sweep.grid]          # every combination of
    train.width = [0.5, 1.0]
    prune = [false, {to = 0.5}, {to = 0.3, by = "entropy"}]    # without the step, and with these options

    [[sweep.list]]        # besides, one by one
    name = "tiny"
    train.width = 0.25
    prune = false
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converters import steps
from converters.recipes import Planned, Recipe
from converters.training.chain import CHAIN
from edgecam.errors import ConfigError, UnknownNameError

_NUMBERS = {"cpus": (1, 1), "retries": (3, 0), "shard": (2000, 1)}  # default, least
_KEYS = (*_NUMBERS, "grid", "list")
_LONGEST = 100  # characters of a name
_MOST = 10_000

Choice = tuple[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Variant:
    """One way through the recipe.

    Attributes:
        name: for people, and of its folder.
        steps: what is run.
    """

    name: str
    steps: tuple[Planned, ...]


@dataclass(frozen=True)
class Trunk(Variant):
    """What several variants begin with; it is run once.

    Attributes:
        parent: what it begins with itself.
    """

    parent: Trunk | None = None


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        variants: in order.
        cpus: of a variant's task.
        retries: after a lost machine.
        shard: test pictures of a task.
    """

    variants: tuple[Variant, ...]
    cpus: int
    retries: int
    shard: int


def read(recipe: Recipe) -> Plan:
    """The variants of a recipe.

    Raises:
        ConfigError: there are none, or a key or a value is wrong; the message names it.
    """
    where, table = recipe.name, dict(recipe.sweep)
    if not table.get("grid") and not table.get("list"):
        raise ConfigError(
            f"{where}: no variants", "add a table [sweep.grid], such as: train.width = [0.5, 1.0]"
        )
    _known(where, "key of [sweep]", table, _KEYS)
    numbers = {
        key: _number(where, key, table.get(key, default), least) for key, (default, least) in _NUMBERS.items()
    }
    found: dict[str, Variant] = {}
    for name, choices in itertools.chain(_grid(recipe, table), _listed(recipe, table)):
        if name in found:
            raise ConfigError(f"{where}: two variants are called {name!r}", "give them other names")
        if len(found) == _MOST:
            raise ConfigError(f"{where}: more than {_MOST} variants", "a smaller grid, or a list")
        found[name] = Variant(name, _chosen(recipe, choices))
    return Plan(tuple(found.values()), **numbers)


def trunks(variants: Sequence[Variant]) -> dict[str, Trunk]:
    """What several variants begin with, up to a step that makes a model: variant -> the longest of these.

    A beginning that nobody leaves before the next one is none of its own.
    """
    ways = {variant.name: list(_beginnings(variant)) for variant in variants}
    sharing: dict[str, list[str]] = {}
    for one, beginnings in ways.items():
        for first in beginnings:
            sharing.setdefault(_digest(first), []).append(one)
    begun: dict[str, Trunk] = {}
    for one, beginnings in ways.items():
        shared = [(_digest(first), first) for first in beginnings if len(sharing[_digest(first)]) > 1]
        longer = [sharing[name] for name, _ in shared[1:]]
        for (name, first), ones in itertools.zip_longest(shared, longer):
            if ones != sharing[name]:
                begun[one] = Trunk(name, first, begun.get(one))
    return begun


def _beginnings(variant: Variant) -> Iterator[tuple[Planned, ...]]:
    """The steps up to each one that makes a model, the shortest first."""
    for number, planned in enumerate(variant.steps, 1):
        if planned.step in CHAIN:
            yield variant.steps[:number]


def _digest(first: Sequence[Planned]) -> str:
    said = [[planned.step, dict(planned.options)] for planned in first]
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _grid(recipe: Recipe, table: Mapping[str, Any]) -> Iterator[tuple[str, list[Choice]]]:
    axes = list(_axes(recipe, table.get("grid", {})))
    if not axes:
        return
    for combination in itertools.product(*axes):
        words = [word for word, _ in combination if word]
        yield slug(" ".join(words)) or "as-it-is", [choice for _, choice in combination]


def _axes(recipe: Recipe, grid: Any) -> Iterator[list[tuple[str, Choice]]]:
    """For each key of the grid its alternatives, each with its words for the name."""
    for step, said in _table(recipe, "sweep.grid", grid).items():
        if isinstance(said, Mapping):
            for option, values in said.items():
                values = _values(recipe, f"{step}.{option}", values)
                yield [(f"{option} {_word(value)}", (step, {option: value})) for value in values]
        else:
            yield [
                (_words(step, value), (step, _alternative(recipe, step, value)))
                for value in _values(recipe, step, said)
            ]


def _listed(recipe: Recipe, table: Mapping[str, Any]) -> Iterator[tuple[str, list[Choice]]]:
    entries = table.get("list", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{recipe.name}: sweep.list is no list of tables", "write [[sweep.list]]")
    for number, entry in enumerate(entries, 1):
        said = dict(_table(recipe, "sweep.list", entry))
        name = said.pop("name", f"variant-{number}")
        if not isinstance(name, str) or not slug(name):
            raise ConfigError(f"{recipe.name}: name = {name!r} in sweep.list", "give a name of letters")
        yield slug(name), [(step, _alternative(recipe, step, value)) for step, value in said.items()]


def _alternative(recipe: Recipe, step: str, value: Any) -> Mapping[str, Any] | None:
    """Options over those of the recipe; None to leave the step out."""
    if value is False:
        return None
    if value is True:
        return {}
    return _table(recipe, f"sweep, {step}", value)


def _chosen(recipe: Recipe, choices: Sequence[Choice]) -> tuple[Planned, ...]:
    """The recipe's steps with the choices over them."""
    over: dict[str, dict[str, Any]] = {}
    left_out = set()
    present = [planned.step for planned in recipe.steps]
    for step, options in choices:
        if step not in present:
            raise ConfigError(
                f"{recipe.name}: the sweep varies step {step!r}, which the recipe does not have",
                f"it has {', '.join(present)}",
            )
        if options is None:
            left_out.add(step)
            continue
        _known(recipe.name, f"option of step {step!r}", options, [o.name for o in steps.load(step).options])
        over.setdefault(step, {}).update(options)
    return tuple(
        Planned(planned.step, {**planned.options, **over.get(planned.step, {})})
        for planned in recipe.steps
        if planned.step not in left_out
    )


def _table(recipe: Recipe, what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{recipe.name}: {what} = {value!r}", "a table, or true or false for a step")
    return value


def _values(recipe: Recipe, what: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ConfigError(
            f"{recipe.name}: {what} = {value!r} in [sweep.grid]", "give a list of values to try"
        )
    return value


def _number(where: str, key: str, value: Any, least: int) -> int:
    if type(value) is not int or value < least:
        raise ConfigError(f"{where}: sweep.{key} = {value!r}", f"a whole number from {least}")
    return value


def _known(where: str, kind: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            error = UnknownNameError(kind, key, known)
            raise ConfigError(f"{where}: {error.message}", error.remedy)


def _words(step: str, value: Any) -> str:
    if value is False:
        return f"no {step}"
    if value is True or not isinstance(value, Mapping):
        return step
    return " ".join([step, *(f"{key} {_word(entry)}" for key, entry in value.items())])


def _word(value: Any) -> str:
    return (
        " ".join(map(str, value))
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def slug(words: str) -> str:
    """A name that does for a folder."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", words).strip("-.")[:_LONGEST]
