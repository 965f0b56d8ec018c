"""Tries what a hardened service must not be able to, and prints what came of it as JSON.

Devices that are named as arguments are opened too.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Callable
from functools import partial


def ptrace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def mount() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/var/lib/edgecam", b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "mount")


def connect(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (host, port))


def device(path: str, how: int = os.O_RDONLY) -> None:
    os.close(os.open(path, how))


def writes(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write("x")


def listed(path: str) -> None:
    if not os.listdir(path):  # noqa: PTH208
        raise OSError(errno.ENOENT, "empty")


TRIES: dict[str, Callable[[], object]] = {
    "a disk": lambda: device("/dev/edgecam-disk"),
    "a character device that is no camera": lambda: device("/dev/edgecam-loop"),
    "home folders": lambda: listed("/home"),
    "root's home": lambda: listed("/root"),
    "ptrace": ptrace,
    "the internet": lambda: connect("203.0.113.1", 9),
    "mounting": mount,
    "the system": lambda: writes("/etc/edgecam-was-here"),
    "the program": lambda: writes("/opt/edgecam/was-here"),
    "its settings": lambda: writes("/etc/edgecam/edgecam.toml"),
    "another user": lambda: os.setuid(0),
    "the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, 1.0),
    "a set-uid file": lambda: (writes("x"), os.chmod("x", 0o755 | stat.S_ISUID)),  # noqa: PTH101
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    # What it must be able to:
    "this machine": lambda: connect("127.0.0.1", 9),
    "a camera in the house": lambda: connect("192.168.77.1", 9),
    "its data": lambda: writes("/var/lib/edgecam/data"),
    "the processor's facts": lambda: listed("/proc/self") or open("/proc/cpuinfo").close(),  # noqa: PTH123
}

if __name__ == "__main__":
    said = {}
    named = {path: partial(device, path, os.O_RDWR) for path in sys.argv[1:]}
    for name, attempt in {**TRIES, **named}.items():
        try:
            attempt()
            said[name] = ""
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error))
    json.dump(said, sys.stdout)
    print()
