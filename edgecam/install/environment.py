"""The service's own copy of the program: a virtual environment with exactly the packages that run here.

They are copied, not fetched: what was tried out is what the service runs, and no network is needed. Packages
of the system (Picamera2) stay visible.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import Distribution
from pathlib import Path

import edgecam
from edgecam import resources
from edgecam.errors import EdgecamError
from edgecam.install.layout import HIDDEN, Layout

#: Extras of edgecam that a service can use; the others serve development, conversion and screens.
EXTRAS = ("tflite-runtime", "picamera", "mqtt", "edit", "signed", "webrtc")
COMPLETE = "complete"
SPARE = 50_000_000

_LAUNCHER = """#!{python} -I
import sys

from edgecam.cli import main

sys.exit(main())
"""


def service_python() -> Path:
    """The interpreter for the service: as this one, and in a place that the service can see.

    Raises:
        EdgecamError: there is none; packages are made for one version of Python.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    for path in (own, Path("/usr/bin") / f"python{version}", Path("/usr/local/bin") / f"python{version}"):
        if any(path.is_relative_to(folder) for folder in HIDDEN) or not path.exists():
            continue
        found = subprocess.run(
            [path, "-I", "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.stdout.strip() == version:
            return path
    raise EdgecamError(
        f"{own} lies where a service cannot see it, and no other Python {version} was found",
        "make edgecam's environment with the system's Python: /usr/bin/python3 -m venv ENV",
    )


def distributions() -> list[Distribution]:
    """edgecam and all that it needs, as installed here."""
    found: dict[str, Distribution] = {}
    wanted = ["edgecam"]
    while wanted:
        name = _normal(wanted.pop())
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or an extra that is not installed
        for requirement in found[name].requires or ():
            extra = re.search(r"""extra\s*==\s*["']([^"']+)""", requirement)
            if extra is None or (name == "edgecam" and extra[1] in EXTRAS):
                wanted.append(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
    return [found[name] for name in sorted(found)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Environment:
    """A step of the installation: the program under its own version."""

    layout: Layout
    python: Path
    files: dict[Path, Path] = field(default_factory=lambda: dict(installed_files()))

    def __str__(self) -> str:
        size = sum(source.stat().st_size for source in self.files.values()) / 1e6
        return f"copy the program ({len(self.files)} files, {size:.0f} MB) to {self.path}/"

    @cached_property
    def identity(self) -> str:
        """Version and fingerprint: the same program has the same."""
        seen = hashlib.sha256(f"{self.python} {sys.version}".encode())
        for relative, source in sorted(self.files.items()):
            facts = source.stat()
            seen.update(f"{relative} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        return f"{edgecam.__version__}-{seen.hexdigest()[:12]}"

    @property
    def path(self) -> Path:
        return self.layout.versions / self.identity

    def needed(self) -> bool:
        return not (self.path / COMPLETE).exists()

    def apply(self) -> str:
        """Copy into a folder beside, try it, and give it its name at the end.

        Raises:
            EdgecamError: no room, or what was copied does not run. Nothing is left behind then.
        """
        self.layout.versions.mkdir(parents=True, exist_ok=True)
        for left in self.layout.versions.glob(".new-*"):
            shutil.rmtree(left)
        self._check_room()
        new = self.layout.versions / f".new-{os.getpid()}"
        try:
            self._fill(new)
            self._try(new)
            (new / COMPLETE).touch()
            shutil.rmtree(self.path, ignore_errors=True)
            new.rename(self.path)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return ""

    def _check_room(self) -> None:
        size = sum(source.stat().st_size for source in self.files.values()) + SPARE
        free = shutil.disk_usage(self.layout.versions).free
        if free < size:
            raise EdgecamError(
                f"{self.layout.versions} needs {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
                "make room; what was there before is still in use",
            )

    def _fill(self, new: Path) -> None:
        flags = ["--without-pip", "--system-site-packages"]
        made = subprocess.run(
            [str(self.python), "-I", "-m", "venv", *flags, str(new)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise EdgecamError(f"cannot make an environment ({' '.join(made.stderr.split())[-200:]})")
        packages = next(new.glob("lib/python*/site-packages"))
        for relative, source in self.files.items():
            target = packages / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)  # with its time, which its compiled twin knows it by
            target.chmod(0o644)
        compileall.compile_dir(packages / "edgecam", quiet=2)
        launcher = new / "bin" / "edgecam"
        launcher.write_text(_LAUNCHER.format(python=self.path / "bin" / "python3"))
        # Who installs may have a umask that hides all from the service.
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
        launcher.chmod(0o755)

    def _try(self, new: Path) -> None:
        modules = "cv2, numpy, edgecam.build, edgecam.sinks.web.server, edgecam.sinks.web.site"
        code = f"import {modules}, edgecam.catalogue as c; assert c.bundled()"
        tried = subprocess.run(
            [new / "bin" / "python3", "-I", "-c", code], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            last = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EdgecamError(f"the service's copy of edgecam does not run ({last})")


def installed_files() -> Iterator[tuple[Path, Path]]:
    """(path below site-packages, where it is now) of every file of edgecam and of what it needs."""
    package = Path(edgecam.__file__).parent
    for distribution in distributions():
        ours = _normal(distribution.metadata["Name"]) == "edgecam"
        base = Path(str(distribution.locate_file(""))).resolve()
        for file in distribution.files or ():
            source = Path(str(file.locate()))
            relative = Path(os.path.normpath(file))
            if ".." in relative.parts or not source.is_file():
                continue  # bin/ and share/ lie outside; compiled twins may be absent
            if ours and not _is_metadata(relative):
                continue
            yield relative, source
        if ours and not package.is_relative_to(base):
            # A clone: its folders are what the wheel would hold.
            for name in ("models", "systemd"):
                yield from _tree(resources.folder(name), Path("edgecam/_data") / name)
    yield from _tree(package, Path("edgecam"))


def _is_metadata(relative: Path) -> bool:
    return relative.parts[0].endswith(".dist-info") and relative.name != "direct_url.json"


def _tree(folder: Path, name: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield name / path.relative_to(folder), path
