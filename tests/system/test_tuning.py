"""What ``edgecam bench --tune`` finds out for a service is what that runs with, in its sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .machine import Machine
from .steps import journal, pid, show, until, until_status

pytestmark = pytest.mark.system

FILE = "/var/lib/edgecam/tuning.json"


@pytest.fixture(autouse=True)
def nothing_tuned_after(system: Machine) -> Iterator[None]:
    yield
    system.run("rm", "-f", FILE)


def said(system: Machine) -> list[str]:
    """What the process in hand has told the journal."""
    return [entry["MESSAGE"] for entry in journal(system, f"_PID={pid(system)}")]


def restarted(system: Machine) -> str:
    """What the service's status says after a restart."""
    system.run("systemctl", "restart", "edgecam")
    until_status(system, "running: ")
    return show(system, "StatusText")


def test_the_service_runs_with_what_was_tuned_for_it(system: Machine) -> None:
    assert "(tuned)" not in show(system, "StatusText")
    tuned = system.edgecam("bench", "--tune", "--service", "--threads", "1", "--seconds", "0.3")
    assert "edgecam.service runs meanwhile, which spoils the figures" in tuned.stderr
    assert "sudo systemctl restart edgecam.service" in tuned.stderr
    assert "CPU ms" in tuned.stdout
    assert system.run("stat", "-c", "%U %G", FILE).stdout.split() == ["edgecam", "edgecam"]
    assert " (tuned), " in restarted(system)
    until("a line in the journal", lambda: any(line.startswith("tuned on 20") for line in said(system)))


def test_cores_that_the_sandbox_does_not_let_it_choose_are_said_and_it_runs(system: Machine) -> None:
    system.edgecam("bench", "--tune", "--service", "--threads", "1", "--seconds", "0.3")
    found = json.loads(system.run("cat", FILE).stdout)
    found["choices"][0]["setup"]["cpus"] = [0]
    system.put(FILE, json.dumps(found))
    assert " (tuned), " in restarted(system)
    until("a line", lambda: any("may not run on cores 0 alone" in line for line in said(system)))
    assert any("CPUAffinity=0 in the unit does that" in line for line in said(system))
