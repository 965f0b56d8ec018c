"""What systemd says of a service."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import EdgecamError
from edgecam.install.layout import Instance

RUNTIME = Path("/run/systemd/system")
PROPERTIES = (
    "LoadState,ActiveState,SubState,StatusText,Result,NRestarts,MainPID,ActiveEnterTimestamp,ExecMainStatus"
)
POLL = 0.3


def check_systemd() -> None:
    """Raise where the machine is not run by systemd (sd_booted(3))."""
    if not RUNTIME.is_dir():
        raise EdgecamError(
            "this machine is not run by systemd",
            "let its own service manager call: edgecam run --wait-for-source",
        )


@dataclass(frozen=True)
class Unit:
    """The state of a unit.

    Attributes:
        active: ``active``, ``activating``, ``reloading``, ``failed``, ``inactive``, ...
        text: what the service says of itself, ``running: 29.9 FPS, ...``
        restarts: how often systemd has started it again.
    """

    loaded: bool
    active: str
    sub: str
    text: str
    result: str
    restarts: int
    pid: int
    since: str
    code: int

    @property
    def flows(self) -> bool:
        """Frames go through the model."""
        return self.active in ("active", "reloading") and self.text.startswith(("running", "degraded"))

    @property
    def waits(self) -> bool:
        """It waits for its camera."""
        return self.active == "active" and self.text.startswith("waiting")


def show(instance: Instance) -> Unit:
    """
    Raises:
        EdgecamError: systemd does not answer.
    """
    said = _run("systemctl", "show", instance.unit, "--property", PROPERTIES)
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return Unit(
        loaded=found.get("LoadState") == "loaded",
        active=found.get("ActiveState", "unknown"),
        sub=found.get("SubState", ""),
        text=found.get("StatusText", ""),
        result=found.get("Result", ""),
        restarts=int(found.get("NRestarts") or 0),
        pid=int(found.get("MainPID") or 0),
        since=found.get("ActiveEnterTimestamp", ""),
        code=int(found.get("ExecMainStatus") or 0),
    )


def version() -> int:
    """The number of systemd's version, 0 if it cannot be told."""
    match = re.match(r"systemd (\d+)", _run("systemctl", "--version"))
    return int(match[1]) if match else 0


def last_error(instance: Instance) -> str:
    """The last warning or error in the journal since the machine started; "" without one."""
    try:
        said = _run(
            *("journalctl", "--unit", instance.unit, "--boot", "--priority", "warning", "--lines", "1"),
            *("--output", "json", "--quiet", "SYSLOG_IDENTIFIER=edgecam"),
        )
        found = json.loads(said.splitlines()[-1])
    except (EdgecamError, ValueError, IndexError):
        return ""
    message = found.get("MESSAGE")
    return message if isinstance(message, str) else ""


def temperature(folder: Path = Path("/sys/class/thermal")) -> float | None:
    """Degrees Celsius of the processor, or of the warmest zone; None where nothing measures."""
    found: dict[str, float] = {}
    for zone in folder.glob("thermal_zone*"):
        try:
            found[(zone / "type").read_text().strip()] = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue
    of_cpu = [value for name, value in found.items() if re.search("cpu|soc|x86_pkg", name)]
    return max(of_cpu or found.values(), default=None)


def wait(instance: Instance, seconds: float, report: Callable[[str], None]) -> Unit:
    """Wait until frames flow, the service waits for its camera, or fails; how it is then."""
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        unit = show(instance)
        # The first result is not a flow yet: that has a rate.
        if (unit.flows and " FPS" in unit.text) or unit.waits or unit.active == "failed":
            return unit
        # Started again after a failure: what it says then is why.
        if unit.restarts or time.monotonic() > deadline:
            return unit
        if unit.text and unit.text != said and not unit.flows:
            said = unit.text
            report(said)
        time.sleep(POLL)


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise EdgecamError(f"cannot run {argv[0]} ({error.strerror})", "apt install systemd") from error
    if done.returncode:
        raise EdgecamError(f"{argv[0]} failed: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout
