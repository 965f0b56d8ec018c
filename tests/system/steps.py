"""What the tests do and ask in a machine, be it namespaces or QEMU."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from .machine import Machine

CONFIG = "/etc/edgecam/edgecam.toml"
DROP_IN = "/etc/systemd/system/edgecam.service.d/test.conf"
FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/{}').read().decode())"


class System(Protocol):
    """A machine that runs."""

    def run(
        self, *command: object, check: bool = ..., timeout: float = ...
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root."""

    def put(self, path: str, text: str) -> None:
        """Write a file."""


def toml(**settings: Any) -> str:
    values = {"source": "demo:", "sinks": ["web:"]} | settings
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def write(path: Path, **settings: Any) -> Path:
    path.write_text(toml(**settings))
    return path


def install(system: Machine, name: str = "", **settings: Any) -> str:
    """Install with settings; what the command said."""
    path = write(system.share / f"{name or 'edgecam'}.toml", **settings)
    done = system.edgecam("service", "install", "--config", path, *(["--name", name] if name else []))
    return done.stdout + done.stderr


def configure(system: System, **settings: Any) -> None:
    """Edit the settings as an administrator does; nothing is told to the service."""
    system.put(CONFIG, toml(**settings))


def drop_in(system: System, text: str) -> None:
    system.put(DROP_IN, text)
    system.run("systemctl", "daemon-reload")


def show(system: System, key: str, unit: str = "edgecam") -> str:
    return system.run("systemctl", "show", unit, "--property", key, "--value").stdout.strip()


def until(what: str, happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def until_status(system: System, text: str, seconds: float = 60) -> None:
    """Wait until the service says so of itself."""
    said = [""]

    def told() -> bool:
        said[0] = show(system, "StatusText")
        return text in said[0]

    try:
        until(text, told, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {said[0]!r}") from None


def pid(system: System) -> int:
    return int(show(system, "MainPID"))


def journal(system: System, *match: str) -> list[dict[str, Any]]:
    said = system.run("journalctl", "--output", "json", "--unit", "edgecam", *match).stdout
    return [json.loads(line) for line in said.splitlines()]


def states(system: System, main: int) -> list[str]:
    """The states that a process has told the journal, in their order."""
    return [e["EDGECAM_STATE"] for e in journal(system, f"_PID={main}") if "EDGECAM_STATE" in e]


def until_told(system: System, main: int, *expected: str) -> None:
    """Wait until these are the last states that a process has told: the journal may lag behind."""
    until(
        f"{expected} in the journal",
        lambda: states(system, main)[-len(expected) :] == list(expected),
    )


def fetch(system: System, page: str) -> str:
    """A page, from inside of the machine."""
    return system.run("python3", "-c", FETCH.format(page)).stdout


def health(system: System) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fetch(system, "healthz"))
    return found


def frames(system: System) -> int:
    return int(json.loads(fetch(system, "api/status"))["status"]["frames"])


def exposure(system: System) -> str:
    """What systemd-analyze says of the unit's sandbox: 0 is nothing, 10 is everything."""
    said = system.run("systemd-analyze", "security", "--no-pager", "edgecam.service").stdout
    match = re.search(r"exposure level for edgecam.service: ([\d.]+)", said)
    assert match, said
    return match[1]
