"""The service's whole life on the other Debian, installed from a wheel in a virtual environment."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import Future
from pathlib import Path

import pytest

from . import machine, packages
from .machine import Machine
from .steps import exposure, fetch, install, pid, show, until_status

pytestmark = pytest.mark.system


def test_from_installation_to_removal(other_suite: Future[tuple[str, Path]], tmp_path: Path) -> None:
    try:
        suite, libraries = other_suite.result()
    except machine.Unavailable as missing:
        pytest.skip(str(missing))
    with Machine(suite) as system:
        release = system.run("sh", "-c", '. /etc/os-release; echo "$VERSION_CODENAME"').stdout.strip()
        assert release == suite
        make_environment(system, libraries, tmp_path)

        assert "copy the program" in install(system)
        until_status(system, " FPS, detect-coco on CPU")
        maps = system.run("cat", f"/proc/{pid(system)}/maps").stdout
        assert "/opt/edgecam/versions/" in maps and "/srv/env" not in maps
        assert system.run("systemd-analyze", "verify", "edgecam.service").stderr == ""
        assert float(exposure(system)) <= 1.3

        status = json.loads(system.edgecam("service", "status", "--json").stdout)
        assert status["active"] == "active" and status["state"].startswith("running")
        assert "demo: -> detect-coco" in system.edgecam("service", "logs", "-n", 200).stdout
        assert "<title>" in fetch(system, "")
        assert 'edgecam_state{state="running"} 1.0' in fetch(system, "metrics")

        upgrade_and_back(system, tmp_path)
        system.halt()
        system.boot()
        until_status(system, " FPS, detect-coco on CPU")

        system.edgecam("service", "uninstall", "--purge")
        assert show(system, "LoadState") == "not-found"
        left = system.run("find", "/opt", "/etc", "/var/lib", "-name", "*edgecam*").stdout
        assert left == ""


def upgrade_and_back(system: Machine, folder: Path) -> None:
    """A newer wheel in the same environment; the same command brings it to the service, and takes it back."""

    def runs() -> str:
        """The version that runs, by the folder that its process has mapped."""
        until_status(system, " FPS, detect-coco on CPU")
        maps = system.run("cat", f"/proc/{pid(system)}/maps").stdout
        (version,) = set(re.findall(r"/opt/edgecam/versions/([^/]+)/", maps))
        assert system.run("readlink", "/opt/edgecam/current").stdout.strip() == f"versions/{version}"
        return str(version)

    first = runs()
    (folder / "newer").mkdir()
    put(system, packages.newer(folder / "newer", "0.9.9"))
    assert "edgecam 0.9.9" in system.edgecam("--version").stdout
    assert runs() == first, "what the user installs does not reach the service by itself"
    assert "copy the program" in system.edgecam("service", "install").stderr
    second = runs()
    assert second.startswith("0.9.9-") and second != first
    assert "copy the program" not in system.edgecam("service", "install").stderr  # nothing to do
    for expected in (first, second):
        system.edgecam("service", "install", "--rollback")
        assert runs() == expected


def put(system: Machine, wheel: Path) -> None:
    """edgecam's wheel into the environment, instead of the one that is there."""
    place = system.share / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    packages.install_wheel(wheel, place)
    site = "/srv/env/lib/python3*/site-packages"
    system.run("sh", "-c", f"cd {site} && rm -rf edgecam edgecam-* converters && cp -r {place}/* .")


def make_environment(system: Machine, libraries: Path, folder: Path) -> None:
    """A virtual environment of the machine's own Python, as a user makes it, at /srv/env."""
    system.run("python3", "-m", "venv", "--without-pip", "/srv/env")
    put(system, packages.wheel(folder))
    site = system.run("sh", "-c", "echo /srv/env/lib/python3*/site-packages").stdout.strip()
    system.put(f"{site}/libraries.pth", f"{libraries}\n")
    code = "import sys; from edgecam.cli import main; sys.exit(main())"
    system.put("/srv/env/bin/edgecam", f"#!/srv/env/bin/python3\n{code}\n")
    system.run("chmod", "755", "/srv/env/bin/edgecam")
    system.program = ["/srv/env/bin/edgecam"]
    assert re.match(r"edgecam [\d.]+", system.edgecam("--version").stdout)
