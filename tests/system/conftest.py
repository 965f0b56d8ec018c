"""One machine for all tests of this machine's own release."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from . import machine, packages
from .machine import Machine
from .steps import CONFIG, DROP_IN, install, show, toml

CHANGING = (CONFIG, DROP_IN, "/etc/systemd/system/edgecam.service")


@pytest.fixture(scope="session")
def other_suite() -> Iterator[Future[tuple[str, Path]]]:
    """The other release and packages for its Python; made ready while other tests run."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(packages.prepare_other)


@pytest.fixture(scope="session")
def booted(other_suite: object) -> Iterator[Machine]:
    """A machine with the service installed, on the demo scene."""
    try:
        system = Machine()
    except machine.Unavailable as missing:
        pytest.skip(str(missing))
    with system:
        install(system)
        yield system


@pytest.fixture
def system(booted: Machine) -> Iterator[Machine]:
    """The same; what a test changed in settings and drop-ins is undone."""
    if show(booted, "NRestarts") != "0":
        booted.run("systemctl", "restart", "edgecam")
    before = _state(booted)
    yield booted
    if _state(booted) == before:
        return
    booted.run("rm", "-f", DROP_IN)
    booted.put(CONFIG, toml())
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "reset-failed", "edgecam", check=False)
    booted.run("systemctl", "restart", "edgecam")


def _state(system: Machine) -> list[str]:
    """What tells that a test has changed something."""
    files = [system.path(path) for path in CHANGING]
    running = [show(system, key) for key in ("ActiveState", "MainPID")]
    return [path.read_text() if path.exists() else "" for path in files] + running
