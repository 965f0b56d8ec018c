"""The service installed by an edgecam from pipx, over the one from a clone, and back again."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from . import packages
from .machine import Machine
from .steps import show, until_status

pytestmark = pytest.mark.virtual  # a whole installation of all packages: minutes


def test_pipx_brings_the_service_up_to_date_and_back(system: Machine, tmp_path: Path) -> None:
    venv.create(tmp_path / "tools", with_pip=True)
    pip = [tmp_path / "tools/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*map(str, pip), "install", "pipx"], check=True)
    environment = os.environ | {
        "HOME": str(system.share),
        "PIPX_HOME": str(system.share / "pipx"),
        "PIPX_BIN_DIR": str(system.share / "bin"),
    }
    wheel = packages.wheel(tmp_path / "wheel")
    pipx = [tmp_path / "tools/bin/pipx", "install", "--python", sys.executable, wheel]
    subprocess.run([str(word) for word in pipx], env=environment, check=True)

    first = version(system)
    system.program = [str(system.share / "bin/edgecam")]
    said = system.edgecam("service", "install").stderr
    assert "copy the program" in said
    second = version(system)
    assert second != first
    until_status(system, " FPS, detect-coco on CPU")
    main = show(system, "MainPID")
    maps = system.run("cat", f"/proc/{main}/maps").stdout
    assert second in maps and "pipx" not in maps
    said = system.edgecam("service", "install").stderr.splitlines()
    assert len(said) == 3 and "running" in said[0]  # nothing to do

    system.edgecam("service", "install", "--rollback")
    assert version(system) == first
    until_status(system, " FPS, detect-coco on CPU")


def version(system: Machine) -> str:
    return system.run("readlink", "/opt/edgecam/current").stdout.strip()
