"""Who else runs on this machine, as procfs tells this user."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"  # state of a socket, in /proc/net/tcp


def running(name: str, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """Processes of that name, other than this one and those that started it."""
    family = set(_ancestors(os.getpid(), proc))
    found = (int(p.parent.name) for p in proc.glob("[0-9]*/comm") if _text(p) == name)
    return tuple(sorted(pid for pid in found if pid not in family))


def listener(port: int, proc: Path = Path("/proc")) -> str:
    """``nginx (pid 123)``: the program that listens on a TCP port, "" if it is not ours to see."""
    inodes = set(_inodes(port, proc))
    for link in proc.glob("[0-9]*/fd/*") if inodes else ():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
        except OSError:
            continue
        if match and match[1] in inodes:
            folder = link.parents[1]
            return f"{_text(folder / 'comm') or 'a program'} (pid {folder.name})"
    return ""


def _inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("net/tcp", "net/tcp6"):
        for line in _text(proc / table).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == _LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _ancestors(pid: int, proc: Path) -> Iterator[int]:
    while pid > 0:
        yield pid
        match = re.search(r"^PPid:\s+(\d+)$", _text(proc / str(pid) / "status"), re.M)
        pid = int(match[1]) if match else 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
