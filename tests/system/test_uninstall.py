"""The end: a restart of the machine, and removal. Comes last: the machine is the one of the tests before."""

from __future__ import annotations

from pathlib import Path

import pytest

from .machine import Machine
from .steps import DROP_IN, drop_in, show, until_status

pytestmark = pytest.mark.system

RULE = "/etc/udev/rules.d/60-edgecam-coral.rules"


def test_after_a_restart_of_the_machine_it_is_there_again(system: Machine) -> None:
    system.halt()
    system.boot()
    until_status(system, " FPS, detect-coco")


def test_uninstall_keeps_settings_and_data_and_purge_does_not(booted: Machine) -> None:
    booted.path("/var/lib/edgecam/data").write_text("x")
    drop_in(booted, "[Service]\nEnvironment=MINE=1\n")
    booted.edgecam("service", "uninstall")
    assert show(booted, "LoadState") == "not-found"
    assert booted.path("/etc/edgecam/edgecam.toml").exists()
    assert booted.path("/var/lib/edgecam/data").exists() and booted.path(DROP_IN).exists()
    assert not booted.path("/opt/edgecam").exists()
    assert (
        "is not installed: sudo edgecam service install"
        in booted.edgecam("service", "status", check=False).stderr
    )
    booted.edgecam("service", "uninstall", "--purge")
    for place in ("/etc/edgecam", "/var/lib/edgecam", RULE, str(Path(DROP_IN).parent)):
        assert not booted.path(place).exists()
    assert booted.run("id", "edgecam", check=False).returncode != 0
