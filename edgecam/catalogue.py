"""Models by name: bundled with the package, fetched before, or known and ready to be fetched.

A fetched model lies in ``$XDG_DATA_HOME/edgecam/models`` (``~/.local/share/edgecam/models``) with its labels
beside it. ``/var/lib/edgecam/models`` is searched too: that is where a service finds its models.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecam import resources
from edgecam.errors import ModelError, UnknownNameError
from edgecam.values import parse_normalize

if TYPE_CHECKING:
    from edgecam.contract import Overrides
    from edgecam.download import Progress, Remote

SUFFIX = ".tflite"
SYSTEM = Path("/var/lib/edgecam/models")
TOML = Path(__file__).with_name("catalogue.toml")

State = Literal["bundled", "fetched", "available"]


@dataclass(frozen=True)
class Entry:
    """A public model that can be fetched.

    Attributes:
        use: what it is good for, one line.
        labels: a key of the catalogue's label files, "" for none.
        contract: what the file does not say of itself: decoder, resize, normalize, options.
    """

    name: str
    use: str
    task: str
    remote: Remote
    labels: str = ""
    contract: Mapping[str, Any] | None = None

    @property
    def filename(self) -> str:
        """As Edge TPU tools name a twin: ``NAME_edgetpu.tflite`` beside ``NAME.tflite``."""
        return self.name.removesuffix("-edgetpu") + "_edgetpu" * self.name.endswith("-edgetpu") + SUFFIX


@dataclass(frozen=True)
class ModelFile:
    """A model's file on this machine, and what is known of it that the file may not say."""

    path: Path
    overrides: Overrides


@dataclass(frozen=True)
class Listed:
    """One line of the list of models."""

    name: str
    state: State
    task: str
    size: int
    use: str
    path: Path | None = None


def store() -> Path:
    """Where this user's fetched models lie."""
    base = os.environ.get("XDG_DATA_HOME")
    if base:
        return Path(base) / "edgecam" / "models"
    try:
        return Path.home() / ".local" / "share" / "edgecam" / "models"
    except RuntimeError:  # a user without a home: a service
        return SYSTEM


def _catalogue() -> tuple[dict[str, Entry], dict[str, Remote]]:
    return _read(TOML)


@functools.cache
def _read(path: Path) -> tuple[dict[str, Entry], dict[str, Remote]]:
    from edgecam.download import Remote

    data = tomllib.loads(path.read_text(encoding="utf-8"))
    labels = {name: Remote(**value) for name, value in data["labels"].items()}
    return {name: _entry(name, dict(value)) for name, value in data["models"].items()}, labels


def _entry(name: str, value: dict[str, Any]) -> Entry:
    from edgecam.download import Remote

    remote = Remote(value.pop("url"), value.pop("sha256"), value.pop("size"), value.pop("member", ""))
    use, task, labels = value.pop("use"), value.pop("task"), value.pop("labels", "")
    return Entry(name, use, task, remote, labels, value)


def entries() -> dict[str, Entry]:
    """The models that can be fetched, by name."""
    return _catalogue()[0]


def bundled() -> dict[str, Path]:
    """The models that travel with the package, by name."""
    return {path.stem: path for path in sorted(resources.folder("models").glob(f"*{SUFFIX}"))}


def names() -> list[str]:
    """Every name that :func:`find` or :func:`get` knows."""
    return [*bundled(), *(name for name in entries() if name not in bundled())]


def installed(entry: Entry) -> Path | None:
    """Where a fetched model lies, None if it was not fetched."""
    for folder in (store(), SYSTEM):
        path = folder / entry.filename
        if _is_file(path):
            return path
    return None


def _is_file(path: Path) -> bool:
    """Path.is_file fails where one may not look: in the folder of a service, say."""
    return os.path.isfile(path)  # noqa: PTH113


def find(name: str) -> ModelFile:
    """The file of a model by its name or path.

    Args:
        name: of a bundled or fetched model; or a path, told by a separator or by ``.tflite`` at its end.

    Raises:
        ModelError: no such file; or a model of the catalogue that is yet to be fetched.
        UnknownNameError: no model of that name; the nearest one is named.
    """
    from edgecam.contract import Overrides

    path = Path(name)
    if os.sep in name or path.suffix.lower() == SUFFIX:
        if not _is_file(path):
            kind = "a folder" if os.path.isdir(path) else "no such file"  # noqa: PTH112
            raise ModelError(f"{name}: {kind}", "name a .tflite file, or a model of edgecam model list")
        return ModelFile(path, Overrides())
    if name in bundled():
        return ModelFile(bundled()[name], Overrides())
    entry = entries().get(name)
    if entry is None:
        raise UnknownNameError("model", name, names())
    found = installed(entry)
    if found is None:
        raise ModelError(f"model {name!r} is not on this machine yet", f"edgecam model get {name}")
    return ModelFile(found, overrides(entry, found.parent))


def overrides(entry: Entry, folder: Path) -> Overrides:
    """What the catalogue knows of a model whose file lies in ``folder``."""
    from edgecam.contract import Overrides

    known = dict(entry.contract or {})
    normalize = known.pop("normalize", None)
    return Overrides(
        task=entry.task,
        labels=folder / _labels_name(entry) if entry.labels else None,
        mean_std=parse_normalize(normalize) if normalize else None,
        **known,
    )


def _labels_name(entry: Entry) -> str:
    return f"{entry.labels}.labels.txt"


def get(name: str, folder: Path | None = None, progress: Progress = lambda done, total: None) -> Path:
    """Fetch a model and its labels; where its file lies. What is there already is not fetched again.

    Args:
        folder: in place of :func:`store`.
        progress: called with (bytes of the model there, bytes in all or None).

    Raises:
        ModelError: see :func:`edgecam.download.fetch`.
        UnknownNameError: no model of that name can be fetched; the nearest one is named.
    """
    from edgecam.download import fetch

    if name in bundled():
        return bundled()[name]
    entry = entries().get(name)
    if entry is None:
        raise UnknownNameError("model", name, names())
    folder = folder or store()
    if entry.labels:
        fetch(_catalogue()[1][entry.labels], folder / _labels_name(entry))
    path = folder / entry.filename
    fetch(entry.remote, path, progress)
    return path


def listing() -> list[Listed]:
    """Every model: the bundled ones, then those of the catalogue."""
    out = []
    for name, path in bundled().items():
        task, use = _described(path)
        out.append(Listed(name, "bundled", task, path.stat().st_size, use, path))
    for name, entry in entries().items():
        where = installed(entry)
        state: State = "fetched" if where else "available"
        out.append(Listed(name, state, entry.task, entry.remote.size, entry.use, where))
    return out


def _described(path: Path) -> tuple[str, str]:
    """(task, description) from a model's own contract."""
    from edgecam import contract

    try:
        spec = contract.read(path)
    except ModelError as error:
        return "broken", error.message
    return (spec.task, spec.description) if spec else ("", "")
