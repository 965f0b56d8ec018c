"""Settings from files, the environment and flags.

Later beats earlier: defaults, ``/etc/edgecam/edgecam.toml``, ``~/.config/edgecam/edgecam.toml``,
``EDGECAM_...``, flags. ``--config FILE`` (or ``EDGECAM_CONFIG``) is read in place of the two files. A file in
the current folder is never read unasked.
"""

from __future__ import annotations

import difflib
import functools
import logging
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam import references, scene
from edgecam.config import OPTIONS, PREFIX, Settings, flag, variable
from edgecam.errors import ConfigError

log = logging.getLogger(__name__)

_NOT_SETTINGS = {"EDGECAM_CONFIG"}


@dataclass(frozen=True)
class Origin:
    """Where a value came from.

    Attributes:
        kind: ``default``, ``file``, ``env`` or ``flag``.
        where: the file, variable or flag.
    """

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


@dataclass(frozen=True)
class Loaded:
    """Effective settings and the origin of each.

    Attributes:
        settings: their values.
        origins: where each came from.
        files: that were read.
        again: loads them anew, with the same flags and the same environment; takes ``instead`` too.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    files: tuple[Path, ...] = ()
    again: Callable[..., Loaded] | None = None


def default_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files read when none is named, the later one wins."""
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - a user need not have a home
    base = Path(environ.get("XDG_CONFIG_HOME") or Path(home) / ".config")
    return Path("/etc/edgecam/edgecam.toml"), base / "edgecam" / "edgecam.toml"


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    file: str | None = None,
    environ: Mapping[str, str] | None = None,
    instead: tuple[Path, str] | None = None,
) -> Loaded:
    """Settings from files, the environment and flags.

    Args:
        flags: values already of their type, by setting name; None where a flag was not given.
        file: the file named by ``--config``.
        environ: in place of ``os.environ``.
        instead: a file, and the text that is to be taken for what is in it.

    Raises:
        ConfigError: an unknown key, a wrong type or value, an unreadable file: names it and the remedy.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins = dict.fromkeys(OPTIONS, Origin("default"))
    named = file or environ.get("EDGECAM_CONFIG")
    used = []
    for path in (Path(named),) if named else default_files(environ):
        other = instead[1] if instead is not None and instead[0] == path else None
        found = read_file(path, required=bool(named), text=other)
        if found is not None:
            used.append(path)
            _warn_if_exposed(path, found)
            values.update(found)
            origins.update(dict.fromkeys(found, Origin("file", str(path))))
    from_environ = read_environ(environ)
    values.update(from_environ)
    origins.update({name: Origin("env", variable(name)) for name in from_environ})
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values.update(given)
    origins.update({name: Origin("flag", flag(name)) for name in given})
    again = functools.partial(load, flags, file=file, environ=environ)
    settings = Settings(**values)
    scene.check(settings.scene)
    return Loaded(settings, origins, tuple(used), again)


def read_file(path: Path, *, required: bool, text: str | None = None) -> dict[str, Any] | None:
    """The settings of one TOML file (or of a text in its place); None if it is absent and not required.

    Raises:
        ConfigError: see :func:`load`.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig") if text is None else text)
    except (FileNotFoundError, NotADirectoryError):
        if not required:
            return None
        raise ConfigError(
            f"{path}: no such file", "edgecam config --toml > FILE makes one with every key"
        ) from None
    except PermissionError:
        if not required:
            log.warning("%s: not readable for this user, left out", path)
            return None
        raise ConfigError(f"{path}: not readable for this user", f"ls -l {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return {name: _taken(path, name, value) for name, value in data.items()}


def holds_secret(values: Mapping[str, Any]) -> bool:
    """A secret stands in these settings itself, not only where it is to be found."""
    for name, value in values.items():
        if value is None or name not in OPTIONS:
            continue
        texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else ()
        if OPTIONS[name].secret and not all(references.is_reference(text) for text in texts):
            return True
        if OPTIONS[name].uri and any(references.holds_secret(text) for text in texts):
            return True
    return False


def exposed(path: Path) -> bool:
    """Others than its owner may read a file; a group of root's is the service's own."""
    try:
        facts = path.stat()
    except OSError:
        return False
    return bool(facts.st_mode & 0o004 or (facts.st_mode & 0o040 and facts.st_uid != 0))


def _warn_if_exposed(path: Path, values: Mapping[str, Any]) -> None:
    if holds_secret(values) and exposed(path):
        log.warning("%s holds a secret and others may read it: chmod %s %s", path, safe_mode(path), path)


def safe_mode(path: Path) -> str:
    """What to give chmod: the service's group goes on reading."""
    return "640" if path.is_relative_to("/etc/edgecam") else "600"


def _taken(path: Path, name: str, value: object) -> Any:
    if name not in OPTIONS:
        raise ConfigError(f"{path}: unknown key {name!r}", _nearest(name, list(OPTIONS)))
    try:
        return OPTIONS[name].kind.take(value)
    except ValueError as error:
        raise ConfigError(f"{path}: {name}: {error}") from error


def read_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in ``EDGECAM_...`` variables; an empty one counts as not set.

    A variable that is almost one of ours is taken for a typo. Others are left alone: container managers
    inject variables of their own with this prefix.

    Raises:
        ConfigError: see :func:`load`.
    """
    out = {}
    names = {variable(name): name for name in OPTIONS}
    for key, text in environ.items():
        if key not in names:
            if key.startswith(PREFIX) and key not in _NOT_SETTINGS:
                _refuse_typo(key, names)
            continue
        if text == "":
            continue
        try:
            out[names[key]] = OPTIONS[names[key]].kind.parse(text)
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from error
    return out


def _refuse_typo(key: str, names: Mapping[str, str]) -> None:
    bare = [name.removeprefix(PREFIX) for name in names]
    close = difflib.get_close_matches(key.removeprefix(PREFIX), bare, n=1, cutoff=0.8)
    if close:
        raise ConfigError(f"unknown variable {key}", f"did you mean {PREFIX}{close[0]}?")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.replace("-", "_").lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}edgecam config --toml lists every key"
