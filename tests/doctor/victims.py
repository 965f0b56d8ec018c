"""What a child process may be asked to do, and does badly."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from edgecam.errors import SourceError


def echo(**arguments: object) -> dict[str, object]:
    print("a library that talks on standard output")
    os.write(1, b'{"value": 666}')
    return arguments


def refuse() -> None:
    raise SourceError("no picture", "take the lens cap off")


def fail() -> None:
    raise ValueError("two\nlines")


def fail_in_silence() -> None:
    raise KeyError


def leave(code: int) -> None:
    sys.stderr.write("some words\nOMP: cannot go on\n")
    sys.stderr.flush()
    os._exit(code)


def segfault() -> None:
    ctypes.string_at(0)


def hang(pid_file: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def devour(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def give_something_odd() -> object:
    return object()


def score() -> str:
    return Path("/proc/self/oom_score_adj").read_text().strip()
