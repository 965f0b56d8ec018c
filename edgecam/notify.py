"""The notification protocol of systemd (sd_notify(3)): ready, status, watchdog, stopping, reloading.

Datagrams of ``KEY=value`` lines to the socket that ``NOTIFY_SOCKET`` names; nothing where it is not set.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Tells the service manager how the process is.

    Args:
        environ: in place of ``os.environ``.

    Attributes:
        wanted: there is somebody to tell.
        watchdog: seconds within which :meth:`alive` must be called again, 0.0 if nobody looks after it.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        path = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ for its leading zero byte. Others, as vsock:, are for machines.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.wanted = path.startswith(("/", "@"))
        self.watchdog = 0.0
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "")
        if self.wanted and for_us and usec.isdecimal():
            self.watchdog = int(usec) / 1e6

    def ready(self) -> None:
        """It works, or it works again after :meth:`reloading`."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for people, shown by ``systemctl status``."""
        self._send("STATUS=" + " ".join(text.split()))

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """New settings are being taken; :meth:`ready` ends that, also where they were refused."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def _send(self, text: str) -> None:
        if not self.wanted:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # A manager that does not read must not stop the camera.
                sock.settimeout(0.2)
                sock.sendto(text.encode(), self._address)
        except OSError:
            pass  # it is told again soon, and a watchdog that hears nothing acts by itself
