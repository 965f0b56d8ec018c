"""The machine: Python, board, heat, power, memory, disk, clock."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edgecam import catalogue
from edgecam.board import UNDER_VOLTAGE, Memory, Throttling
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Finding, failure, ok, warning

OLDEST, NEWEST = (3, 11), (3, 13)  # of Python that edgecam is tested with
OLDEST_GLIBC = (2, 27)  # that the wheels of ai-edge-litert work with
MB, GB = 1 << 20, 1 << 30
NEEDED = 200 * MB  # of memory, for the bundled detector at 1280x720
DAY = 86400.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


# -- Python


@dataclass(frozen=True)
class PythonFacts:
    """
    Attributes:
        version: of Python.
        bits: of a pointer.
        machine: the kernel's, ``aarch64``.
        libc: name and version; ("", "") if it is not glibc.
        environment: the virtual environment's folder, "" outside of one.
    """

    version: tuple[int, int, int]
    bits: int
    machine: str
    libc: tuple[str, str]
    environment: str = ""


def python_facts() -> PythonFacts:
    version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    environment = sys.prefix if sys.prefix != sys.base_prefix else ""
    bits = 64 if sys.maxsize > 2**32 else 32
    return PythonFacts(version, bits, platform.machine(), platform.libc_ver(), environment)


def judge_python(facts: PythonFacts) -> Iterator[Finding]:
    short = facts.version[:2]
    seen = f"{'.'.join(map(str, facts.version))}, {facts.bits} bit, {facts.machine}"
    seen += f", in {facts.environment}" if facts.environment else ", the system's own"
    tested = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if short < OLDEST:
        yield failure("Python", seen, f"edgecam needs {tested}: Debian 12 and Raspberry Pi OS 12 bring it")
    elif facts.libc[0] != "glibc" or _numbers(facts.libc[1]) < OLDEST_GLIBC:
        libc = " ".join(facts.libc) if facts.libc[0] else "a C library other than glibc"
        yield failure(
            "Python",
            f"{seen}, {libc}",
            "interpreters need glibc 2.27 or newer: use Debian, Ubuntu or Raspberry Pi OS "
            "(in a container python:3.13-slim, not -alpine)",
        )
    elif facts.bits == 32:
        yield warning(
            "Python", seen, "only tflite-runtime runs on 32 bit: install the 64-bit system if the board can"
        )
    elif short > NEWEST:
        yield warning(
            "Python", seen, f"edgecam is tested with {tested}: if something fails, use one of these"
        )
    else:
        yield ok("Python", seen)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


# -- board


def judge_board(model: str, kernel: str, cores: int, page_size: int, load: float | None) -> Iterator[Finding]:
    cpus = f"{cores} core" + "s" * (cores != 1)
    yield ok("board", f"{model or 'unknown model'}, {cpus}, Linux {kernel}, pages of {page_size // 1024} KB")
    if load is not None and load > 2 * cores:
        yield warning("load", f"{load:.1f} on {cpus}: other programs want the CPU too", "see which: top")


def judge_temperature(celsius: float | None, limit: float) -> Iterator[Finding]:
    if celsius is None:
        yield ok("temperature", "no sensor to read (usual in a virtual machine)")
        return
    seen = f"{celsius:.0f} °C, the board slows down from {limit:.0f} °C on"
    remedy = "give it a heat sink, a fan or more air"
    if celsius >= limit + 5:
        yield failure("temperature", seen, remedy)
    elif celsius >= limit - 5:
        yield warning("temperature", seen, remedy)
    else:
        yield ok("temperature", seen)


def judge_throttling(
    found: Throttling | None, *, raspberry_pi: bool, firmware: bool, problem: str
) -> Iterator[Finding]:
    """
    Args:
        found: what slows the board down, None if nobody knows.
        firmware: ``vcgencmd`` is installed.
        problem: why it did not answer, "" if it did.
    """
    check = "power"
    supply = "use the board's own power supply (Pi 5: 5 V 5 A, Pi 4: 5 V 3 A) and a short cable"
    if problem:
        yield warning(
            check, f"vcgencmd does not answer ({problem})", "sudo usermod -aG video $USER, then log in again"
        )
    if found is not None and found.now:
        low = UNDER_VOLTAGE in found.now
        remedy = supply if low else "give it a heat sink, a fan or more air"
        yield (failure if low else warning)(check, f"now: {', '.join(found.now)}", remedy)
    if found is not None and found.before:
        remedy = supply if UNDER_VOLTAGE in found.before else "more air, if it gets slow"
        yield warning(check, f"since the start: {', '.join(found.before)}", remedy)
    if (found is None and problem) or (found is not None and (found.now or found.before)):
        return
    if raspberry_pi and not firmware:
        yield warning(
            check, "the firmware cannot be asked: vcgencmd is not installed", "sudo apt install raspi-utils"
        )
    elif found is None:
        yield ok(check, "nothing slows the CPU down, as far as the kernel tells")
    elif not problem:
        yield ok(check, "no under-voltage and no throttling since the start")


def judge_memory(memory: Memory | None) -> Iterator[Finding]:
    if memory is None:
        yield warning("memory", "cannot be read", "is /proc mounted?")
        return
    seen = f"{_size(memory.free)} free of {_size(memory.total)}"
    if memory.limit is not None and memory.limit < memory.total:
        seen += f", bounded to {_size(memory.limit)} by its control group"
    if memory.free < NEEDED * 3 // 4:
        yield failure(
            "memory", seen, "edgecam needs about 200 MB: end other programs, or add swap (zram-tools)"
        )
    elif memory.free < NEEDED * 3 // 2:
        yield warning("memory", seen, "scarce: a larger model or a recording may not fit beside others")
    else:
        yield ok("memory", seen)


# -- disk


@dataclass(frozen=True)
class Place:
    """A folder that edgecam writes to.

    Attributes:
        use: what goes there.
        path: the nearest folder that exists.
        free, total: bytes of its disk.
        writable: for this user.
        wanted: the settings ask for it.
        missing: the folder itself, where it does not exist yet.
        device: tells disks apart.
    """

    use: str
    path: str
    free: int
    total: int
    writable: bool
    wanted: bool = False
    device: int = 0
    missing: str = ""


def disk_facts(context: Context) -> list[Place]:
    """The folders of recordings, fetched models and temporary files."""
    wanted = [
        (
            "recordings" if text.startswith("record:") or text.endswith(".mp4") else "results",
            Path(path).parent,
        )
        for text in context.settings.sinks
        if (path := written_file(text))
    ]
    others = [("fetched models", catalogue.store()), ("temporary files", Path(tempfile.gettempdir()))]
    places = [_place(use, folder, True) for use, folder in wanted]
    return places + [_place(use, folder, False) for use, folder in others]


def written_file(sink: str) -> str:
    """The file that a sink writes, "" if it writes none."""
    scheme, colon, rest = sink.partition(":")
    if colon and scheme in ("record", "jsonl"):
        rest = rest.partition("?")[0]
        return "" if rest in ("", "-") else rest
    return sink if sink.lower().endswith((".mp4", ".jsonl")) and "://" not in sink else ""


def _place(use: str, folder: Path, wanted: bool) -> Place:
    path = whole = folder.absolute()
    while not os.path.isdir(path) and path != path.parent:  # noqa: PTH112 - pathlib raises where one may not look
        path = path.parent
    usage = shutil.disk_usage(path)
    writable = os.access(path, os.W_OK | os.X_OK)
    missing = "" if path == whole else str(whole)
    return Place(use, str(path), usage.free, usage.total, writable, wanted, path.stat().st_dev, missing)


def judge_disk(places: Sequence[Place]) -> Iterator[Finding]:
    told: set[int] = set()
    for place in places:
        seen = f"{_size(place.free)} free of {_size(place.total)} at {place.path} ({place.use})"
        if place.missing and place.wanted:
            yield failure(
                "disk", f"{place.missing} does not exist ({place.use})", f"mkdir -p {place.missing}"
            )
        elif not place.writable:
            problem = f"{place.path} is not writable for this user ({place.use})"
            remedy = f"name another folder, or see whose it is: ls -ld {place.path}"
            yield (failure if place.wanted else warning)("disk", problem, remedy)
        elif place.free < 50 * MB:
            yield failure("disk", seen, f"make room: du -xh {place.path} | sort -h | tail")
        elif place.free < (GB if place.use == "recordings" else 300 * MB):
            yield warning("disk", seen, "recordings end when it is full: make room")
        elif place.device not in told:
            told.add(place.device)
            yield ok("disk", seen)


# -- clock


def synchronised() -> bool | None:
    """Whether something keeps the kernel's clock right (adjtimex(2)); None if that cannot be seen."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


def installed_at() -> float:
    """When edgecam was put here, seconds since 1970: a clock that is behind that is wrong."""
    package = Path(__file__).parent
    times = [package.stat().st_mtime, Path(sysconfig.get_paths()["stdlib"]).stat().st_mtime]
    return max(times)


def judge_clock(now: float, not_before: float, in_step: bool | None) -> Iterator[Finding]:
    shown = datetime.fromtimestamp(now).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    remedy = "sudo timedatectl set-ntp true; a board without network wants a clock chip (RTC)"
    if now < not_before - DAY:
        yield failure("clock", f"{shown}, which is before edgecam was installed", remedy)
    elif in_step is False:
        yield warning("clock", f"{shown}, not synchronised: times in recordings may be wrong", remedy)
    elif in_step is None:
        yield ok("clock", f"{shown}; what keeps it right cannot be seen from here")
    else:
        yield ok("clock", f"{shown}, synchronised")


def _size(count: int) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{count // MB} MB"


def checks(context: Context) -> Iterator[Finding]:
    """Everything of this module, read from the machine."""
    board = context.board
    yield from judge_python(python_facts())
    yield from judge_board(
        board.model,
        platform.release(),
        len(os.sched_getaffinity(0)),
        os.sysconf("SC_PAGE_SIZE"),
        board.load(),
    )
    yield from judge_temperature(board.temperature(), board.limit())
    bits = board.firmware.ask()
    yield from judge_throttling(
        board.throttling(bits),
        raspberry_pi=board.is_raspberry_pi,
        firmware=board.firmware.present,
        problem=board.firmware.problem,
    )
    yield from judge_memory(board.memory())
    yield from judge_disk(disk_facts(context))
    yield from judge_clock(time.time(), installed_at(), synchronised())
