"""The environment that the models are built in: exact versions, or the bytes would differ.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from edgecam.errors import EdgecamError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = Path(".venv-models")


def pinned() -> dict[str, str]:
    """Package -> version, as ``requirements.txt`` has them."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def differing() -> list[str]:
    """What this interpreter has otherwise, as ``name==version``."""
    return [f"{name}=={version}" for name, version in pinned().items() if _installed(name) != version]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def enter(root: Path, arguments: list[str]) -> None:
    """Go on in an environment with the pinned versions; it is made in ``.venv-models`` the first time.

    Returns at once where they are installed already, else does not return.

    Raises:
        EdgecamError: it cannot be made.
    """
    if not differing():
        return
    python = root / FOLDER / "bin" / "python"
    if not python.exists():
        print(f"making the environment in {FOLDER} (TensorFlow: 2 GB, a few minutes)", flush=True)
        _run([sys.executable, "-m", "venv", str(root / FOLDER)], "apt install python3-venv")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*install, "-r", str(REQUIREMENTS)], "is there a network, and a Python 3.11 to 3.13?")
    if Path(sys.prefix).resolve() == (root / FOLDER).resolve() and differing():
        raise EdgecamError(f"{FOLDER} lacks {', '.join(differing())}", f"delete {FOLDER} and retry")
    sys.stdout.flush()
    os.chdir(root)
    os.execv(python, [str(python), "-m", "converters.bundled", *arguments])


def _run(command: list[str], remedy: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise EdgecamError(f"{' '.join(command[1:4])} failed, see above", remedy)
