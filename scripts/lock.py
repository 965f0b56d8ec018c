"""What a release installs on a device: every package with its version and the hashes of its files.

    python scripts/lock.py            writes requirements/device-py3XX.txt anew (wants uv: pipx install uv)
    python scripts/lock.py --check    says whether they still fit pyproject.toml; needs no network
    python scripts/lock.py --here     what pip would install on this very machine: device-py3XX-MACHINE.txt

    pip install --require-hashes -r requirements/device-py311.txt && pip install --no-deps edgecam-*.whl

One file a Python, the same for x86_64 and aarch64. There is none for 32-bit ARM: PyPI lacks wheels for it.
Raspberry Pi OS takes them from piwheels, whose files are others than PyPI's, so only such a device can name
their hashes. That is what --here is for: one device writes the file, all others install by it.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28"}
#: What a device may want beyond the bare program, and what is small.
EXTRAS = ("edit", "mqtt", "signed")
#: uv does not heed the upper bound of a package's Requires-Python, pip does: 1.3 is for Python before 3.11.
CONSTRAINTS = ("backports-strenum<1.3",)
HERE = "# Written by scripts/lock.py --here for Python {} on {}, and for nothing else. Not to be edited.\n"
HEAD = "# Written by scripts/lock.py for Python {}, x86_64 and aarch64, with {}. Not to be edited.\n"


def lock_file(python: str) -> Path:
    return FOLDER / f"device-py{python.replace('.', '')}.txt"


def write() -> int:
    uv = shutil.which("uv")
    if uv is None:
        print("lock: uv is not installed: pipx install uv", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    for python in PYTHONS:
        found = {machine: compiled(uv, python, platform) for machine, platform in PLATFORMS.items()}
        if len(set(found.values())) != 1:
            print(f"lock: Python {python} wants other packages on {' than on '.join(found)}", file=sys.stderr)
            return 1
        head = HEAD.format(python, ", ".join(f"edgecam[{extra}]" for extra in EXTRAS))
        lock_file(python).write_text(head + found["x86_64"])
        if not taken(python):
            return 1
        print(f"{lock_file(python).relative_to(ROOT)}: {len(pins(found['x86_64']))} packages")
    return 0


def compiled(uv: str, python: str, platform: str) -> str:
    """The text of one file, without the line that says how it was made."""
    argv = [uv, "pip", "compile", str(ROOT / "pyproject.toml"), "--quiet", "--generate-hashes", "--no-header"]
    argv += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--only-binary", ":all:"]
    argv += ["--python-version", python, "--python-platform", platform]
    argv += [word for extra in EXTRAS for word in ("--extra", extra)]
    with tempfile.TemporaryDirectory() as folder:
        out, bounds = Path(folder) / "out.txt", Path(folder) / "constraints.txt"
        bounds.write_text("".join(f"{line}\n" for line in CONSTRAINTS))
        subprocess.run([*argv, "--constraints", str(bounds), "--output-file", str(out)], check=True)
        return out.read_text()


def taken(python: str) -> bool:
    """Whether pip finds a wheel with one of the hashes for every package of a file, on both machines."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--only-binary", ":all:", "--python-version", python, "-r", str(lock_file(python))]
    for machine in PLATFORMS:
        tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in (17, 24, 26, 27, 28))]
        platforms = [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run([*argv, *platforms, "--dest", folder], check=False).returncode:
                name = lock_file(python).name
                print(f"lock: pip does not take {name} on {machine}: see above", file=sys.stderr)
                return False
    return True


def here() -> int:
    """Lock what pip, with the indexes that it is set up for here, takes on this machine."""
    python, machine = ".".join(platform.python_version_tuple()[:2]), platform.machine()
    if sys.maxsize < 2**32 and machine in ("aarch64", "armv8l"):
        machine = "armv7l"  # a 32-bit system under a 64-bit kernel
    lines = [str(requirement).partition(";")[0] for requirement in wanted(python, machine)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        argv += ["--only-binary", ":all:", "--report", str(path), *lines]
        if subprocess.run(argv, check=False).returncode:
            print("lock: pip cannot install it here: see above", file=sys.stderr)
            return 1
        text = HERE.format(python, machine) + pinned(json.loads(path.read_text()))
    FOLDER.mkdir(exist_ok=True)
    target = FOLDER / f"device-py{python.replace('.', '')}-{machine}.txt"
    target.write_text(text)
    print(f"{target.relative_to(ROOT)}: {len(pins(text))} packages")
    return 0


def pinned(report: dict[str, Any]) -> str:
    """Lines of a requirements file with the hashes of the files that an installation report of pip names."""
    lines = []
    for item in report["install"]:
        name, version = normal(item["metadata"]["name"]), item["metadata"]["version"]
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{digest}\n")
    return "".join(sorted(lines))


def pins(text: str) -> dict[str, tuple[str, int]]:
    """Name to (version, number of hashes)."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", block)
        if match:
            hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)
            found[normal(match[1])] = (match[2], len(hashes))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(python: str, machine: str) -> list[Requirement]:
    """What pyproject.toml asks for there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(r for e in EXTRAS for r in project["optional-dependencies"][e])]
    there = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    found = [Requirement(line) for line in lines]
    return [r for r in found if r.marker is None or r.marker.evaluate({**there, "sys_platform": "linux"})]


def problems(python: str, text: str) -> list[str]:
    """Why a file does not fit pyproject.toml."""
    found = pins(text)
    out = [f"{name} has no hash" for name, (_, hashes) in found.items() if not hashes]
    for machine in PLATFORMS:
        for requirement in wanted(python, machine):
            version = found.get(normal(requirement.name), ("", 0))[0]
            if not version:
                out.append(f"{requirement.name} is missing")
            elif version not in requirement.specifier:
                out.append(f"{requirement.name}=={version} is not {requirement.specifier}")
    return sorted(set(out))


def check() -> int:
    bad = 0
    for python in PYTHONS:
        path = lock_file(python)
        for problem in problems(python, path.read_text()) if path.exists() else ["there is no such file"]:
            bad += 1
            print(f"{path.relative_to(ROOT)}: {problem}: make lock", file=sys.stderr)
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 if a file does not fit"
    )
    parser.add_argument("--here", action="store_true", help="for this machine alone, as pip finds it")
    options = parser.parse_args()
    if options.check:
        return check()
    return here() if options.here else write()


if __name__ == "__main__":
    sys.exit(main())
