"""Lines for systemd's journal, with fields that ``journalctl EDGECAM_STATE=waiting`` finds again.

The native protocol (systemd: "Native Journal Protocol") with the standard library: a datagram of fields to
``/run/systemd/journal/socket``. Used only where standard error is the journal anyway; elsewhere people read
plain lines.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
#: Priorities of syslog(3).
ERROR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7
#: Marks a change of state: ``journalctl MESSAGE_ID=...`` lists them.
STATE_CHANGE = "6f1d4dbd1f0b4bb8a1a9f2d5b6c0e7a3"

_PRIORITIES = {logging.DEBUG: DEBUG, logging.INFO: INFO, logging.WARNING: WARNING}


@functools.cache
def connected() -> bool:
    """Standard error goes to the journal: ``JOURNAL_STREAM`` holds its device and inode (systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def send(text: str, priority: int = INFO, fields: Mapping[str, str] | None = None) -> bool:
    """Send one entry; False where the journal is not there, and the line must go elsewhere."""
    if not connected():
        return False
    entry = {"MESSAGE": text, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "edgecam", **(fields or {})}
    return _send(encode(entry), SOCKET)


def encode(fields: Mapping[str, str]) -> bytes:
    """Fields as the protocol wants them: ``KEY=value``; before several lines stands their length."""
    out = []
    for key, value in fields.items():
        data = value.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            out.append(key.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            out.append(key.encode() + b"=" + data + b"\n")
    return b"".join(out)


def _send(data: bytes, address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(data, address)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                return False
            return _send_file(sock, data, address)
    return True


def _send_file(sock: socket.socket, data: bytes, address: str) -> bool:
    """An entry that is too long for a datagram goes as a sealed file in memory."""
    try:
        file = os.memfd_create("edgecam-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(file, "wb") as writer:
            writer.write(data)
            writer.flush()
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
            # Not socket.send_fds: that one forgets the address.
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))
            sock.sendmsg([b""], [rights], 0, address)
    except OSError:
        return False
    return True


class JournalHandler(logging.Handler):
    """Sends log records to the journal, with where in the program they come from."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {
                "CODE_FILE": record.pathname,
                "CODE_LINE": str(record.lineno),
                "CODE_FUNC": record.funcName,
                "EDGECAM_LOGGER": record.name,
                **getattr(record, "journal", {}),
            }
            priority = _PRIORITIES.get(record.levelno, ERROR)
            if not send(self.format(record), priority, fields):
                print(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)
