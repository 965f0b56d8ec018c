"""Packages for the Python of a release other than this machine's own."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from .debian import CACHE, SUITES, alone, own_suite, rootfs
from .machine import ROOT, Unavailable, check

#: What wheels may be called on Debian 12 and later.
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34")


def prepare_other() -> tuple[str, Path]:
    """(the release that is not this machine's own, packages for it); both are made on first use."""
    check()
    other = next(suite for suite in SUITES if suite != own_suite())
    rootfs(other)
    return other, dependencies(SUITES[other])


def wheels(version: tuple[int, int], processor: str) -> Path:
    """A folder with the wheels of all that edgecam needs, as pip would fetch them on such a machine."""
    wanted, mark = _wanted()
    place = CACHE / f"wheels-{processor}-{version[0]}.{version[1]}-{mark}"
    with alone(place):
        if not place.exists():
            new = CACHE / f"{place.name}.new"
            _pip("download", "--dest", new, *foreign(version, processor), *wanted)
            new.rename(place)
    return place


def dependencies(version: tuple[int, int]) -> Path:
    """A folder with all that edgecam needs, installed for that Python."""
    wanted, mark = _wanted()
    place = CACHE / f"packages-{version[0]}.{version[1]}-{mark}"
    with alone(place):
        if not place.exists():
            new = CACHE / f"{place.name}.new"
            shutil.rmtree(new, ignore_errors=True)
            _pip("install", "--target", new, *foreign(version, platform.machine()), *wanted)
            new.rename(place)
    return place


def _wanted() -> tuple[list[str], str]:
    """What edgecam needs, and a short mark for that."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # pip holds the markers against the Python that it runs under, not the one that it installs for.
    wanted = [line for line in project["dependencies"] if "armv7l" not in line or "!=" in line]
    return wanted, hashlib.sha256(" ".join(sorted(wanted)).encode()).hexdigest()[:8]


def foreign(version: tuple[int, int], processor: str) -> list[str]:
    """pip's options for another Python."""
    tag = f"{version[0]}{version[1]}"
    options = ["--only-binary=:all:", "--python-version", tag, "--implementation", "cp"]
    options += [word for abi in (f"cp{tag}", "abi3", "none") for word in ("--abi", abi)]
    return options + [word for name in PLATFORMS for word in ("--platform", f"{name}_{processor}")]


def wheel(folder: Path, source: Path = ROOT) -> Path:
    """edgecam's own wheel, made of the repository as it is."""
    _pip("wheel", "--no-deps", "--wheel-dir", folder, source)
    return next(folder.glob("edgecam-*.whl"))


def newer(folder: Path, version: str) -> Path:
    """The same as a release of another number."""
    source = folder / "source"
    source.mkdir()
    for name in ("edgecam", "converters", "models", "systemd"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    package = source / "edgecam/__init__.py"
    text, changed = re.subn(r'__version__ = ".*"', f'__version__ = "{version}"', package.read_text())
    assert changed == 1
    package.write_text(text)
    return wheel(folder, source)


def install_wheel(path: Path, target: Path) -> None:
    """Lay a wheel out as an installation does."""
    _pip("install", "--no-deps", "--no-compile", "--target", target, path)


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stderr)[-300:]
        raise Unavailable(f"pip cannot {arguments[0]} what the machine needs: {said}")
