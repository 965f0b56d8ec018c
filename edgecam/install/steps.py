"""Changes to a machine: each can say what it would do, whether it is needed, and do it."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecam import whole
from edgecam.errors import EdgecamError


class Step(Protocol):
    """One change. ``str()`` says what it does, as an order: ``write /etc/edgecam/edgecam.toml``."""

    def needed(self) -> bool:
        """Whether it would change anything."""

    def apply(self) -> str:
        """Do it; a line for the user where there is something to say, else ""."""


@dataclass(frozen=True)
class Owner:
    """A user and a group by name; "" leaves what the process has."""

    user: str = ""
    group: str = ""

    def give(self, path: Path) -> None:
        if self.user:
            shutil.chown(path, user=self.user)
        if self.group:
            shutil.chown(path, group=self.group)


class Records:
    """What was written where, by its SHA-256: a file with another one was edited."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def ours(self, path: Path) -> bool:
        """The file is as it was written."""
        return self._read().get(str(path)) == digest(path.read_bytes())

    def note(self, path: Path, data: bytes) -> None:
        self._write(self._read() | {str(path): digest(data)})

    def forget(self, path: Path) -> None:
        known = self._read()
        if known.pop(str(path), None) is not None:
            self._write(known)

    def _write(self, known: dict[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole.write(self._path, json.dumps(known, indent=1, sort_keys=True).encode(), 0o644)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Folder:
    """A folder with its owner."""

    path: Path
    mode: int = 0o755
    owner: Owner = Owner()

    def __str__(self) -> str:
        return f"make {self.path}/"

    def needed(self) -> bool:
        return not self.path.is_dir()

    def apply(self) -> str:
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(self.mode)
        self.owner.give(self.path)
        return ""


@dataclass(frozen=True)
class File:
    """A file that is brought up to date unless somebody has edited it.

    Attributes:
        beside: where an edited file stays, put the new one beside it as ``NAME.new``.
    """

    path: Path
    data: bytes
    records: Records
    mode: int = 0o644
    owner: Owner = Owner()
    beside: bool = False

    @property
    def _edited(self) -> bool:
        return self.path.exists() and not self.records.ours(self.path) and not self._same

    @property
    def _same(self) -> bool:
        return self.path.exists() and self.path.read_bytes() == self.data

    @property
    def _new(self) -> Path:
        return self.path.with_name(self.path.name + ".new")

    def __str__(self) -> str:
        if self._edited:
            return f"keep {self.path}: it was edited" + (f"; write {self._new}" if self.beside else "")
        return f"write {self.path}"

    def needed(self) -> bool:
        return not self._same

    def apply(self) -> str:
        if self._edited:
            if not self.beside:
                return f"{self.path} was edited and stays as it is"
            whole.write(self._new, self.data, self.mode, self.owner.give)
            return f"{self.path} was edited and stays as it is; the new one is {self._new}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole.write(self.path, self.data, self.mode, self.owner.give)
        self.records.note(self.path, self.data)
        return ""


@dataclass(frozen=True)
class Link:
    """A symbolic link that is changed at one stroke."""

    path: Path
    target: Path

    def __str__(self) -> str:
        return f"link {self.path} -> {self.target}"

    def needed(self) -> bool:
        return not self.path.is_symlink() or self.path.readlink() != self.target

    def apply(self) -> str:
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self.target)
        temporary.replace(self.path)
        return ""


@dataclass(frozen=True)
class Remove:
    """A file, a link or a folder with all that is in it."""

    path: Path
    records: Records | None = None

    def __str__(self) -> str:
        return f"remove {self.path}" + ("/" if self.path.is_dir() and not self.path.is_symlink() else "")

    def needed(self) -> bool:
        return self.path.exists() or self.path.is_symlink()

    def apply(self) -> str:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)
        if self.records is not None:
            self.records.forget(self.path)
        return ""


@dataclass(frozen=True)
class Prune:
    """A folder in which nothing is left."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}/ if it is empty"

    def needed(self) -> bool:
        return self.path.is_dir() and not any(self.path.iterdir())

    def apply(self) -> str:
        self.path.rmdir()
        return ""


@dataclass(frozen=True)
class Command:
    """A program that is run.

    Attributes:
        unless: true where its work is done already.
        may_fail: goes on where it fails.
    """

    argv: Sequence[str]
    unless: Callable[[], bool] = bool
    may_fail: bool = False

    def __str__(self) -> str:
        return f"run {shlex.join(self.argv)}"

    def needed(self) -> bool:
        return not self.unless()

    def apply(self) -> str:
        try:
            done = subprocess.run(
                self.argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        except OSError as error:
            if self.may_fail:
                return ""
            raise EdgecamError(f"cannot run {self.argv[0]} ({error.strerror})") from error
        if done.returncode and not self.may_fail:
            said = " ".join((done.stderr or done.stdout).split())
            raise EdgecamError(f"{shlex.join(self.argv)} failed ({said or done.returncode})")
        return ""


def apply(steps: Sequence[Step], report: Callable[[str], None]) -> bool:
    """Do what is needed, in order; True if anything changed.

    Raises:
        EdgecamError: a step failed; those before it have been done, and doing all again does the rest.
    """
    changed = False
    for step in steps:
        try:
            if not step.needed():
                continue
            words = str(step)
            said = step.apply()
        except OSError as error:
            raise EdgecamError(
                f"cannot {step} ({error.strerror or error})", "what was there before is still in use"
            ) from error
        changed = True
        report(said or words)
    return changed
