"""Zones, lines, masks and rules written into the settings file, with everything else in it left as it is.

Comments and the order of keys stay (``tomlkit``). What is written has been read back and checked by the same
code that reads settings at the start, and the file is replaced as a whole or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgecam import config_load, whole
from edgecam.config import OPTIONS, Settings
from edgecam.config_load import Loaded
from edgecam.errors import ConfigError
from edgecam.privacy.mask import Mask
from edgecam.scene import EntryError, Rule, SceneError

#: Settings that can be edited.
KINDS = ("zone", "line", "mask", "rule")

_DEFAULTS: dict[str, Any] = {f.name: [] if f.default == () else f.default for f in dataclasses.fields(Rule)}


class Conflict(ConfigError):
    """Somebody else changed the file meanwhile."""


class Editor:
    """Reads and writes what is drawn over the picture.

    Args:
        loaded: the settings of the run; says which file they came from.
        check: raises what else is wrong with settings.
        apply: asks the run to take the new settings.
        environ: in place of ``os.environ``.

    Attributes:
        file: what is written: the file named by ``--config``, else the last that was read, else the user's.
    """

    def __init__(
        self,
        loaded: Loaded,
        check: Callable[[Settings], None],
        apply: Callable[[], None],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        assert loaded.again is not None
        environ = os.environ if environ is None else environ
        self.file = loaded.files[-1] if loaded.files else config_load.default_files(environ)[-1]
        self._again = loaded.again
        self._check = check
        self.apply = apply

    def read(self) -> dict[str, Any]:
        """The settings as plain values by kind, and ``version``, which stands for what is in the file.

        Raises:
            ConfigError: the file is no good now.
        """
        text = self._text()
        settings = self._again().settings
        return {kind: plain(kind, settings) for kind in KINDS} | {"version": _version(text)}

    def save(self, wanted: Mapping[str, object], version: str) -> None:
        """Write lists of tables, by kind; a kind that is not named stays as it is.

        Args:
            wanted: the tables as in the settings file.
            version: of what they were made from.

        Raises:
            Conflict: the file is another one now.
            ConfigError: they are no good, or the file cannot be written.
        """
        text = self._text()
        if _version(text) != version:
            raise Conflict(f"{self.file.name} was changed meanwhile", "load the page again")
        self._refuse_elsewhere(wanted)
        new = edited(text, wanted)
        # The whole of the settings as they would be, as the run would read them.
        self._check(self._again(instead=(self.file, new)).settings)
        if new != text:
            write_whole(self.file, new.encode())

    def _text(self) -> str:
        try:
            return self.file.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.file}: not readable ({error})") from error

    def _refuse_elsewhere(self, wanted: Mapping[str, object]) -> None:
        """What a flag or a variable says beats the file, so writing there would change nothing."""
        origins = self._again().origins
        for kind in wanted:
            origin = origins[kind]
            if origin.kind in ("flag", "env"):
                raise ConfigError(f"{kind} is set by {origin}", f"move it to {self.file}")


def plain(kind: str, settings: Settings) -> list[dict[str, Any]]:
    """The entries of a setting as tables of plain values."""
    if kind != "mask":
        entries: list[dict[str, Any]] = OPTIONS[kind].kind.plain(getattr(settings, kind))  # type: ignore[attr-defined]
        return entries
    masks = map(Mask.parse, settings.mask)
    return [
        {"name": m.name, "points": [list(p) for p in m.points], "fill": m.fill, "model": m.model}
        for m in masks
    ]


def edited(text: str, wanted: Mapping[str, object]) -> str:
    """The text of a settings file with other zones, lines, masks or rules.

    Raises:
        ConfigError: the text is no TOML, the tables are no good, or ``tomlkit`` is not installed.
    """
    try:
        import tomlkit
        import tomlkit.exceptions
    except ImportError:
        raise ConfigError("tomlkit is not installed", "pip install 'edgecam[edit]'") from None
    try:
        document = tomlkit.parse(text)
    except tomlkit.exceptions.TOMLKitError as error:
        raise ConfigError(f"the settings file is not valid TOML: {error}") from error
    for kind, value in wanted.items():
        if kind not in KINDS:
            raise ConfigError(f"{kind!r} cannot be edited", f"it is one of {', '.join(KINDS)}")
        tables = _taken(kind, value)
        if plain_of(document.get(kind)) != tables:
            _put(document, kind, tables)
    return tomlkit.dumps(document)


def plain_of(value: Any) -> Any:
    """An item of the document as plain values."""
    return value.unwrap() if value is not None and hasattr(value, "unwrap") else (value or [])


def _taken(kind: str, value: object) -> list[dict[str, Any]]:
    """The tables, checked one by one, without keys that say nothing."""
    try:
        OPTIONS[kind].kind.take(value)
    except EntryError as error:
        raise SceneError(f"{kind}: {error}", "", (kind, error.number, error.key)) from error
    except ValueError as error:
        raise ConfigError(f"{kind}: {error}") from error
    assert isinstance(value, list)
    if not all(isinstance(table, dict) for table in value):
        raise ConfigError(f"{kind}: expected tables")
    silent = {"name": "", "fill": "solid", "model": False}
    return [
        {key: item for key, item in table.items() if key not in silent or silent[key] != item}
        for table in value
    ]


def _put(document: Any, kind: str, tables: list[dict[str, Any]]) -> None:
    """Make the document hold these tables, those that stay untouched."""
    import tomlkit
    from tomlkit.items import AoT

    old = document.get(kind)
    if not tables:
        document.pop(kind, None)
        return
    if old is not None and not isinstance(old, AoT):
        # A list among the other settings stays one.
        taken = OPTIONS[kind].kind.take(tables)
        document[kind] = tomlkit.parse(f"x = {OPTIONS[kind].kind.toml(taken)}")["x"]
        return
    if old is None:
        old = tomlkit.aot()
        for table in tables:
            old.append(_table(table))
        document.append(kind, old)
        return
    _update(kind, old, tables)


def _update(kind: str, old: Any, tables: list[dict[str, Any]]) -> None:
    """Change the tables of an array in place: those of the same name, then what is left over."""
    _rename(old, tables)
    names = [table.get("name") for table in tables]
    for number in reversed(range(len(old))):
        if old[number].get("name") not in names:
            del old[number]
    kept = {old[number].get("name"): old[number] for number in range(len(old))}
    if len(kept) != len(old) or [name for name in names if name in kept] != list(kept):
        # Two without a name, or another order: the array is made anew.
        while len(old):
            del old[0]
        kept = {}
    for table in tables:
        before = kept.get(table.get("name"))
        if before is None:
            old.append(_table(table))
        else:
            _change(kind, before, table)


def _rename(old: Any, tables: list[dict[str, Any]]) -> None:
    """Give those their new names that stand where they stood and say something that they said."""
    before = [table.get("name") for table in old]
    after = [table.get("name") for table in tables]
    for number, (was, now) in enumerate(zip(before, after, strict=False)):
        if was is None or now is None or was in after or now in before:
            continue
        table = tables[number]
        if any(key != "name" and plain_of(old[number].get(key)) == value for key, value in table.items()):
            old[number]["name"] = now


def _change(kind: str, before: Any, table: dict[str, Any]) -> None:
    """What a rule says although it would be so anyhow stays, with its comment."""
    fresh = _table(table)
    for key in list(before):
        if key not in table and not (kind == "rule" and plain_of(before[key]) == _DEFAULTS.get(key)):
            del before[key]
    for key, value in table.items():
        if plain_of(before.get(key)) != value:
            before[key] = fresh[key]


def _table(values: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        table.append(key, tomlkit.item(value))
    table.add(tomlkit.nl())
    return table


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file as a whole, with the mode it had; a link stays one.

    Raises:
        ConfigError: it cannot be written.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.write(path, data, path.stat().st_mode & 0o777 if path.exists() else 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path} ({error.strerror or error})",
            "let the user that edgecam runs as write the file and its folder",
        ) from error


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
