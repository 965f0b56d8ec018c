"""A whole `edgecam run` under observation: its status, its results, what it holds."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.command import Running
from tests.helpers.waiting import until

PATIENCE = 180.0  # seconds; everything is started anew in them, maybe on a machine that does much else


def rounds(few: int) -> int:
    """How often a fault is made: few times, or as often as the variable EDGECAM_FAULTS says."""
    return int(os.environ.get("EDGECAM_FAULTS", few))


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(frozen=True)
class Held:
    """What a process holds: open files, threads, child processes, and resident memory in MB."""

    files: int
    threads: int
    children: int
    memory: float


def held(pid: int) -> Held:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Held(
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(fields["Threads"]),
        len(children(pid)),
        int(fields["VmRSS"].split()[0]) / 1024,
    )


def worked(pid: int) -> float:
    """Seconds that a process has computed: whether one that is late hangs, or had no turn."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watched:
    """A run with the sinks ``web:?port=0`` and ``jsonl:results``."""

    def __init__(self, run: Running) -> None:
        self.run = run
        line = run.wait_for("page: ")
        self.url = line.split()[-1].rstrip("/")

    def status(self) -> dict[str, Any]:
        """What the page says; before there is anything to say, that nothing was done yet."""
        with urllib.request.urlopen(f"{self.url}/api/status", timeout=10) as answer:
            status: dict[str, Any] | None = json.load(answer)["status"]
        return status or {"state": "", "frames": 0}

    def state(self, wanted: str) -> dict[str, Any]:
        """The status once it is that."""
        until(f"it never was {wanted}", lambda: self.status()["state"] == wanted, PATIENCE)
        return self.status()

    def results_go_on(self) -> None:
        before = self.status()["frames"]
        until("no results come", lambda: self.status()["frames"] > before, PATIENCE)

    def held(self) -> Held:
        return held(self.run.process.pid)
