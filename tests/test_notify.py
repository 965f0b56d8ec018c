"""What systemd is told, heard by a socket as systemd's is."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgecam.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """(value of NOTIFY_SOCKET, socket that hears)."""
    name = f"@edgecam-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.settimeout(5)
        yield name, sock


@pytest.mark.parametrize(
    ("say", "heard"),
    [
        (Notifier.ready, "READY=1"),
        (Notifier.stopping, "STOPPING=1"),
        (lambda n: n.status("running:\n 30 FPS"), "STATUS=running: 30 FPS"),
        (lambda n: n.status("détecté 猫"), "STATUS=détecté 猫"),
        (Notifier.alive, "WATCHDOG=1"),
    ],
)
def test_what_is_said_is_heard(
    manager: tuple[str, socket.socket], say: Callable[[Notifier], None], heard: str
) -> None:
    name, sock = manager
    notifier = Notifier(
        {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    )
    assert notifier.wanted and notifier.watchdog == 30
    say(notifier)
    assert sock.recv(4096).decode() == heard


def test_reloading_carries_the_time(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    Notifier({"NOTIFY_SOCKET": name}).reloading()
    first, second = sock.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid() + 1)}],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(
    manager: tuple[str, socket.socket], environ: dict[str, str]
) -> None:
    name, sock = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, **environ})
    notifier.alive()
    notifier.ready()
    assert notifier.watchdog == 0 and sock.recv(4096) == b"READY=1"


def test_nothing_happens_without_a_manager(tmp_path: Path) -> None:
    assert not Notifier({}).wanted
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
