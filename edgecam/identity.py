"""What a device is called among others."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
from pathlib import Path

#: Of this process: tells a run from the one before it, and from another device of the same name.
BOOT = secrets.token_hex(8)

_SOURCES = (
    Path("/proc/device-tree/serial-number"),
    Path("/etc/machine-id"),
    Path("/var/lib/dbus/machine-id"),
)


def check_device_id(text: str) -> None:
    """Raise ValueError where a text is no device id."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise ValueError(f"expected 1 to 64 letters (a to z), digits, - or _, got {text!r}")


def machine(sources: tuple[Path, ...] = _SOURCES) -> str:
    """Eight hexadecimal digits that stay with this machine, made from its serial number or its machine id.

    Not the number itself, which is nobody's business (``machine-id(5)`` asks for that).
    """
    for source in sources:
        try:
            text = source.read_text(errors="replace").strip("\0\n ")
        except OSError:
            continue
        if text:
            return hashlib.sha256(b"edgecam " + text.encode()).hexdigest()[:8]
    return hashlib.sha256(b"edgecam " + socket.gethostname().encode()).hexdigest()[:8]


def default_device_id(host: str | None = None, mark: str | None = None) -> str:
    """The host's name and a mark of the machine: ``raspberrypi-3fa2``. Many a Raspberry Pi has the name."""
    name = socket.gethostname() if host is None else host
    name = re.sub(r"[^A-Za-z0-9]+", "-", name.partition(".")[0]).strip("-")[:48] or "edgecam"
    return f"{name}-{(machine() if mark is None else mark)[:4]}"
