"""Recipes: data, not flags that multiply.

``NAME.toml`` here is a sequence of steps for ``edgecam-convert run NAME``, ``quantization/NAME.toml`` a way
to quantise. A path to a file of one's own does as well as a name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from converters import job, steps
from converters.steps.base import Option
from converters.work import INSIDE
from edgecam.errors import ConfigError, EdgecamError, UnknownNameError

FOLDER = Path(__file__).parent
QUANTIZATION = FOLDER / "quantization"


@dataclass(frozen=True)
class Planned:
    """One step of a recipe and what is said of its options."""

    step: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A sequence of steps.

    Attributes:
        name: the file's stem.
        summary: one line.
        job: what it says of the job; the command line's flags go over it.
        steps: in order.
        sweep: its table ``[sweep]``, see :mod:`converters.sweeping.variants`.
    """

    name: str
    summary: str
    job: Mapping[str, Any]
    steps: tuple[Planned, ...]
    sweep: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantization:
    """A way to quantise.

    Attributes:
        name: the file's stem; the variant's name.
        summary: one line.
        converter: ``tensorflow`` or ``litert``.
        weights: ``int8``, ``float16`` or ``float32``.
        activations: ``int8``, ``int16`` or ``float32``.
        image: type of the image input and of the output: ``uint8``, ``int8`` or ``float32``.
        float_fallback: keep in float what cannot be int8, instead of failing.
        codebook: number of values that a weight tensor may take; 0 for all 255.
        keep: layers that stay float, by the names of their output tensors in the float twin.
    """

    name: str
    summary: str
    converter: str = "tensorflow"
    weights: str = "float32"
    activations: str = "float32"
    image: str = "float32"
    float_fallback: bool = False
    codebook: int = 0
    keep: Sequence[str] = ()

    @property
    def calibrated(self) -> bool:
        """Whether it takes pictures to find the range of every activation."""
        return self.activations != "float32"


_CHOICES = {
    "converter": ("tensorflow", "litert"),
    "weights": ("int8", "float16", "float32"),
    "activations": ("int8", "int16", "float32"),
    "image": ("uint8", "int8", "float32"),
}


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def quantization_names() -> list[str]:
    """The shipped ways to quantise."""
    return sorted(path.stem for path in QUANTIZATION.glob("*.toml"))


def load(name: str) -> Recipe:
    """A recipe by name or by path.

    Raises:
        UnknownNameError: there is none of that name.
        ConfigError: it is no TOML, or a key or a value in it is wrong; the message names file and key.
    """
    path, content = _read(name, FOLDER, "recipe", names())
    tables = content.pop("step", [])
    summary, sweep = content.pop("summary", ""), content.pop("sweep", {})
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: no steps", 'add tables such as: [[step]] run = "quantize"')
    if not isinstance(sweep, dict):
        raise ConfigError(f"{path}: sweep = {sweep!r}", "write a table [sweep]")
    _known(path, "key", content, (*job.KEYS, "step", "sweep", "summary"))
    planned = tuple(_planned(path, dict(table)) for table in tables)
    return Recipe(path.stem, str(summary), _beside(path, content), planned, sweep)


def _planned(path: Path, table: dict[str, Any]) -> Planned:
    name = table.pop("run", None)
    if not isinstance(name, str):
        raise ConfigError(f"{path}: a step without a name", 'write run = "quantize" into its table')
    try:
        options = {option.name: option for option in steps.load(name).options}
    except UnknownNameError as error:
        raise ConfigError(f"{path}: {error.message}", error.remedy) from error
    _known(path, f"option of step {name!r}", table, options)
    return Planned(name, {key: _placed(path, options[key], value) for key, value in table.items()})


def _placed(path: Path, option: Option, value: Any) -> Any:
    """Paths in a step's options start at the recipe too: those of its own files, and recipes by path."""
    if isinstance(value, list):
        return [_placed(path, option, item) for item in value]
    if not isinstance(value, str) or not value or value.startswith(INSIDE):
        return value
    if option.kind is Path or (option.name == "recipes" and value.endswith(".toml")):
        return str(path.parent / Path(value).expanduser())
    return value


def _beside(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Relative paths in a recipe start at the recipe; ``work:NAME`` is in the work folder."""
    out = dict(content)
    for key in ("model", "data", "labels", "custom", "detector"):
        if isinstance(out.get(key), str) and out[key] and not out[key].startswith(INSIDE):
            out[key] = str(path.parent / Path(out[key]).expanduser())
    return out


def quantization(name: str) -> Quantization:
    """A way to quantise, by name or by path.

    Raises:
        UnknownNameError: there is none of that name.
        ConfigError: as :func:`load`.
    """
    path, content = _read(name, QUANTIZATION, "quantisation recipe", quantization_names())
    defaults = {entry.name: entry.default for entry in fields(Quantization) if entry.name != "name"}
    _known(path, "key", content, defaults)
    for key, value in content.items():
        kind = {"summary": str, "keep": list}.get(key, type(defaults[key]))
        if type(value) is not kind:
            raise ConfigError(f"{path}: {key} = {value!r}", f"give a value of type {kind.__name__}")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ConfigError(f"{path}: {key} = {value!r}", f"one of {', '.join(_CHOICES[key])}")
    found = Quantization(path.stem, **{"summary": "", **content})
    _consistent(path, found)
    return found


def of_variant(variant: str, said: Sequence[str]) -> Quantization:
    """The recipe that a variant was made by.

    Args:
        variant: its name.
        said: the recipes that were asked for, by name or by path.
    """
    return quantization(next((name for name in said if Path(name).stem == variant), variant))


def _consistent(path: Path, recipe: Quantization) -> None:
    if recipe.activations != "float32" and recipe.weights != "int8":
        raise ConfigError(
            f"{path}: {recipe.activations} activations need int8 weights", 'set weights = "int8"'
        )
    if recipe.image != "float32" and recipe.activations != "int8":
        raise ConfigError(f"{path}: a {recipe.image} image needs int8 activations", 'set image = "float32"')
    if recipe.codebook and (recipe.weights != "int8" or not 2 <= recipe.codebook <= 255):
        raise ConfigError(f"{path}: codebook = {recipe.codebook}", "2 to 255 values, with int8 weights")


def _read(name: str, folder: Path, kind: str, known: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    path = Path(name).expanduser() if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise ConfigError(f"{path} does not exist", f"name a file, or one of {', '.join(known)}")
        raise UnknownNameError(kind, name, known)
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}", "correct it") from error
    except OSError as error:
        raise EdgecamError(f"cannot read {path} ({error.strerror})", "check its permissions") from error


def _known(path: Path, kind: str, table: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any]) -> None:
    for key in table:
        if key not in known:
            error = UnknownNameError(kind, key, known)
            raise ConfigError(f"{path}: {error.message}", error.remedy)
