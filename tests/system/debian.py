"""Roots of Debian, made once and kept in $EDGECAM_SYSTEM (default ~/.cache/edgecam-system)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.vm.kernel import Unavailable, mirror, need

CACHE = Path(os.environ.get("EDGECAM_SYSTEM", Path.home() / ".cache" / "edgecam-system"))
PACKAGES = "systemd,systemd-sysv,dbus,iproute2,udev,python3,procps,passwd"
#: The Python of each release: packages are made for one version of it.
SUITES = {"bookworm": (3, 11), "trixie": (3, 13)}


def own_suite() -> str:
    """The release whose Python is the one that the tests run under."""
    for suite, version in SUITES.items():
        if version == sys.version_info[:2]:
            return suite
    raise Unavailable("the system tests need the Python of Debian 12 or 13: run them under 3.11 or 3.13")


def rootfs(suite: str) -> Path:
    """The root of a small Debian for this machine's processor."""
    need({"debootstrap": "debootstrap"})
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, "ROOT", mirror()]
    return _made(f"{suite}-{re.sub('[^a-z0-9]+', '-', PACKAGES)}", command)


def unpacked(architecture: str, suite: str) -> Path:
    """A Debian for another processor, whose packages are unpacked and not set up: no script of theirs has
    run, because each would be emulated for minutes. Enough for systemd to boot and for Python."""
    need({"mmdebstrap": "mmdebstrap"})
    hooks = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
    skip = "--skip=check/empty,check/qemu"
    # libstdc++6: what wheels need of the system.
    include = [f"--include={PACKAGES},python3-venv,libstdc++6", "--include=?essential"]
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}", *include]
    return _made(f"{suite}-{architecture}-unpacked", [*command, hooks, skip, suite, "ROOT", mirror()])


def _made(name: str, command: list[str]) -> Path:
    """The folder that the command makes at ROOT, on first use."""
    home = CACHE / name
    with alone(home):
        _make(home, name, command)
    return home / "root"


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """While inside, no other run of the tests makes the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(home: Path, name: str, command: list[str]) -> None:
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        words = [str(home / "root") if word == "ROOT" else word for word in command]
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-300:]
            raise Unavailable(f"{command[0]} cannot make {name}: {said}")
        (home / "root/etc/machine-id").write_text("")
        for timer in (home / "root/etc/systemd/system").glob("*.wants/*.timer"):
            timer.unlink()
        (home / "complete").touch()
