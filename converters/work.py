"""The work folder of a conversion: every intermediate file and the figures of every step.

::

    job.json               what is converted: model, data, preprocessing, ...
    data.json              the split
    float.tflite           the float32 twin
    VARIANT.tflite         one for each quantisation recipe, with its contract
    variants.json          the variants: recipe, size, converter, seconds
    figures/STEP.json      a step's figures, and the fingerprint of what they were made from
    report.html report.md
    NAME.tflite            the final file

A step whose fingerprint has not changed is not run again. Files appear whole or not at all, so a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from converters.files import write_whole
from edgecam.errors import EdgecamError, UsageError
from edgecam.registry import PICTURE_SUFFIXES

FIGURES = "figures"
INSIDE = "work:"  # begins a path in the work folder, in a recipe
_CHUNK = 1 << 20


class Work:
    """A work folder; it is made when something is written.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Where the file of that name is or will be."""
        return self.root / name

    def resolve(self, value: str) -> str:
        """A path as a recipe gives it; what begins with ``work:`` is in this folder."""
        return str(self.path(value.removeprefix(INSIDE))) if value.startswith(INSIDE) else value

    def fingerprint(
        self, step: str, options: Mapping[str, Any], inputs: Iterable[Path], salt: str = ""
    ) -> str:
        """As :func:`fingerprint`, the same wherever the folder is: paths in it count from its root."""
        kept = {
            key: f"{INSIDE}{Path(value).relative_to(self.root)}" if self._holds(value) else value
            for key, value in options.items()
        }
        return fingerprint(step, kept, inputs, salt)

    def _holds(self, value: Any) -> bool:
        return isinstance(value, str) and self.root != Path() and Path(value).is_relative_to(self.root)

    def read_json(self, name: str) -> Any:
        """A JSON file's content, None where there is no such file.

        Raises:
            EdgecamError: it is damaged.
        """
        path = self.path(name)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise EdgecamError(f"{path} cannot be read ({error})", "delete it and run again") from error

    def write(self, name: str, content: bytes) -> Path:
        """Write a file, whole or not at all."""
        path = self.path(name)
        write_whole(path, content)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file, whole or not at all."""
        path = self.path(name)
        write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
        return path

    def figures(self, step: str) -> dict[str, Any] | None:
        """What a step found, None where it has not been run."""
        record = self.read_json(f"{FIGURES}/{step}.json")
        return None if record is None else dict(record["figures"])

    def finish(
        self, step: str, fingerprint: str, figures: Mapping[str, Any], files: Iterable[str] = ()
    ) -> None:
        """Note that a step is done.

        Args:
            step: its name.
            fingerprint: of what it was made from, see :func:`fingerprint`.
            figures: what it found; JSON.
            files: what it has written; the step counts as done only while these exist.
        """
        record = {"fingerprint": fingerprint, "files": sorted(files), "figures": dict(figures)}
        self.write_json(f"{FIGURES}/{step}.json", record)

    def done(self, step: str, fingerprint: str) -> bool:
        """Whether the step has been run with this fingerprint and its files are still there."""
        record = self.read_json(f"{FIGURES}/{step}.json")
        if record is None or record["fingerprint"] != fingerprint:
            return False
        return all(self.path(name).exists() for name in record["files"])

    def forget(self, step: str) -> None:
        """Let the step count as not done."""
        self.path(f"{FIGURES}/{step}.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder while inside. What a killed run has left unfinished is removed.

        Raises:
            UsageError: another run is at work here.
            EdgecamError: the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path(".lock"), os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            why = f"{self.root} cannot be used as work folder ({error.strerror})"
            raise EdgecamError(why, "choose another with --work") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise UsageError(
                f"another run is at work in {self.root}", "wait for it or choose another folder with --work"
            ) from error
        try:
            self._sweep()
            yield
        finally:
            self._sweep()
            os.close(handle)

    def _sweep(self) -> None:
        """Remove temporary files: those of ours are hidden, see :func:`converters.files.write_whole`."""
        for path in (*self.root.glob(".*"), *self.path(FIGURES).glob(".*")):
            if path.is_file() and path.name != ".lock":
                path.unlink(missing_ok=True)


def fingerprint(step: str, options: Mapping[str, Any], inputs: Iterable[Path], salt: str = "") -> str:
    """Stands for a step's options and the contents of its input files.

    A folder among the inputs counts by the names, sizes and times of its files: hashing thousands of pictures
    would cost more than most steps. So does a picture that is named by itself. A missing input counts as
    such.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([step, salt, options], sort_keys=True, default=str).encode())
    for path in inputs:
        digest.update(f"\0{path.name}\0".encode())
        digest.update(_of_input(path))
    return digest.hexdigest()


def _of_input(path: Path) -> bytes:
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES and path.exists():
        return _state(path.absolute(), path)
    return _of_file(path)


def _state(name: Path, path: Path) -> bytes:
    state = path.stat()
    return f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode()


def _of_file(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return b"missing"
    except OSError as error:
        raise EdgecamError(
            f"cannot read {path} ({error.strerror})", "check the file's permissions"
        ) from error
    return digest.digest()


def _of_folder(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(_state(path.relative_to(folder), path))
    return digest.digest()
