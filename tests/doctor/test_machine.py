"""What is said of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecam.board import Board, Memory, Throttling
from edgecam.config import Settings
from edgecam.doctor import machine
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Level, worst
from edgecam.doctor.machine import GB, MB, Place, PythonFacts
from tests.doctor.support import levels, one

PYTHON = PythonFacts((3, 12, 4), 64, "aarch64", ("glibc", "2.41"), "/opt/env")


@pytest.mark.parametrize(
    ("change", "level", "text"),
    [
        ({}, "ok", "3.12.4, 64 bit, aarch64, in /opt/env"),
        ({"environment": ""}, "ok", "the system's own"),
        ({"version": (3, 10, 9)}, "failure", "3.11 to 3.13"),
        ({"version": (3, 14, 0)}, "warning", "3.11 to 3.13"),
        ({"bits": 32, "machine": "armv7l"}, "warning", "64-bit system"),
        ({"libc": ("", "")}, "failure", "a C library other than glibc"),
        ({"libc": ("musl", "1.2")}, "failure", "-alpine"),
        ({"libc": ("glibc", "2.26")}, "failure", "glibc 2.26"),
        ({"libc": ("glibc", "2.27")}, "ok", ""),
    ],
)
def test_python(change: dict[str, object], level: str, text: str) -> None:
    finding = one(machine.judge_python(replace(PYTHON, **change)))  # type: ignore[arg-type]
    assert finding.level.word == level
    assert text in f"{finding.seen} {finding.remedy}"


def test_this_python_is_fine_or_new() -> None:
    assert worst(machine.judge_python(machine.python_facts())) < Level.FAILURE


def test_board_and_load() -> None:
    calm = one(machine.judge_board("Raspberry Pi 5", "6.12", 4, 16384, 8.0))
    assert calm.seen == "Raspberry Pi 5, 4 cores, Linux 6.12, pages of 16 KB"
    assert "unknown model, 1 core," in one(machine.judge_board("", "6.1", 1, 4096, None)).seen
    assert levels(machine.judge_board("x", "6.1", 4, 4096, 8.1)) == "ok warning"


@pytest.mark.parametrize(
    ("celsius", "level"),
    [(None, "ok"), (40.0, "ok"), (74.9, "ok"), (75.0, "warning"), (84.0, "warning"), (85.0, "failure")],
)
def test_temperature(celsius: float | None, level: str) -> None:
    assert one(machine.judge_temperature(celsius, 80.0)).level.word == level


@pytest.mark.parametrize(
    ("bits", "expected", "text"),
    [
        (0x0, "ok", "no under-voltage"),
        (0x50005, "failure", "now: under-voltage, throttled"),
        (0x50000, "warning", "since the start: under-voltage, throttled"),
        (0x8, "warning", "now: soft temperature limit reached"),
        (0x10004, "warning warning", "since the start: under-voltage"),
    ],
)
def test_power_of_a_raspberry_pi(bits: int, expected: str, text: str) -> None:
    found = list(
        machine.judge_throttling(Throttling.of_bits(bits), raspberry_pi=True, firmware=True, problem="")
    )
    assert levels(found) == expected
    assert any(text in finding.seen for finding in found)
    assert all(
        "power supply" in finding.remedy for finding in found if "under-voltage" in finding.seen and bits
    )


def test_power_where_the_firmware_is_silent() -> None:
    def judge(found: Throttling | None, **facts: object) -> list[machine.Finding]:
        known: dict[str, object] = {"raspberry_pi": True, "firmware": True, "problem": ""}
        return list(machine.judge_throttling(found, **(known | facts)))  # type: ignore[arg-type]

    assert "group" not in one(judge(None, firmware=False)).seen
    assert one(judge(None, firmware=False)).remedy == "sudo apt install raspi-utils"
    assert one(judge(None, raspberry_pi=False, firmware=False)).level is Level.OK
    asked = one(judge(None, problem="Can't open device file: /dev/vcio"))
    assert (asked.level, "-aG video" in asked.remedy) == (Level.WARNING, True)
    # The kernel may know what the firmware does not tell.
    both = judge(Throttling(("under-voltage",)), problem="no answer")
    assert levels(both) == "warning failure"
    assert levels(judge(Throttling(), problem="no answer")) == "warning"


@pytest.mark.parametrize(
    ("memory", "level"),
    [
        (None, "warning"),
        (Memory(4 * GB, 2 * GB), "ok"),
        (Memory(GB // 2, 250 * MB), "warning"),
        (Memory(GB // 2, 100 * MB), "failure"),
        (Memory(4 * GB, 2 * GB, limit=300 * MB, used_of_limit=200 * MB), "failure"),
    ],
)
def test_memory(memory: Memory | None, level: str) -> None:
    assert one(machine.judge_memory(memory)).level.word == level


def test_memory_names_its_bound() -> None:
    bounded = Memory(4 * GB, 2 * GB, limit=GB)
    assert (
        one(machine.judge_memory(bounded)).seen
        == "1.0 GB free of 4.0 GB, bounded to 1.0 GB by its control group"
    )


PLACE = Place("temporary files", "/tmp", 20 * GB, 30 * GB, True, device=1)


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "ok"),
        ({"free": 200 * MB}, "warning"),
        ({"free": 900 * MB}, "ok"),
        ({"free": 900 * MB, "use": "recordings"}, "warning"),
        ({"free": 10 * MB}, "failure"),
        ({"writable": False}, "warning"),
        ({"writable": False, "wanted": True}, "failure"),
        ({"missing": "/tmp/new"}, "ok"),
        ({"missing": "/tmp/new", "wanted": True}, "failure"),
    ],
)
def test_disk(change: dict[str, object], level: str) -> None:
    assert one(machine.judge_disk([replace(PLACE, **change)])).level.word == level  # type: ignore[arg-type]


def test_one_line_a_disk_that_is_fine() -> None:
    assert levels(machine.judge_disk([PLACE, PLACE, replace(PLACE, device=2)])) == "ok ok"


def test_disk_facts_follow_the_settings(tmp_path: Path) -> None:
    sinks = (f"record:{tmp_path}/a.mp4?codec=h264", f"{tmp_path}/absent/b.jsonl", "web:", "jsonl:-")
    first, second, *others = machine.disk_facts(Context(settings=Settings(sinks=sinks)))
    assert (first.use, first.path, first.wanted, first.missing) == ("recordings", str(tmp_path), True, "")
    assert (second.use, second.path, second.missing) == ("results", str(tmp_path), f"{tmp_path}/absent")
    assert first.free > 0
    assert {place.wanted for place in others} == {False}
    assert len(others) == 2


@pytest.mark.parametrize(
    ("sink", "file"),
    [
        ("record:out.mp4", "out.mp4"),
        ("record:a.mp4?codec=mpeg4", "a.mp4"),
        ("clip.MP4", "clip.MP4"),
        ("x.jsonl", "x.jsonl"),
        ("jsonl:-", ""),
        ("web:", ""),
        ("web://host/a.mp4", ""),
    ],
)
def test_files_that_sinks_write(sink: str, file: str) -> None:
    assert machine.written_file(sink) == file


def test_clock() -> None:
    installed = 1_790_000_000.0
    assert one(machine.judge_clock(installed + 1, installed, True)).level is Level.OK
    assert one(machine.judge_clock(installed + 1, installed, None)).level is Level.OK
    assert one(machine.judge_clock(installed + 1, installed, False)).level is Level.WARNING
    wrong = one(machine.judge_clock(0.0, installed, True))
    assert wrong.level is Level.FAILURE
    assert "1970" in wrong.seen or "1969" in wrong.seen
    assert machine.synchronised() in (True, False, None)
    assert machine.installed_at() > 1_000_000_000


def test_a_raspberry_pi_with_everything_wrong(tmp_path: Path) -> None:
    files = {
        "sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "86200",
        "sys/class/hwmon/hwmon2/name": "rpi_volt",
        "sys/class/hwmon/hwmon2/in0_lcrit_alarm": "1",
        "proc/meminfo": "MemTotal: 498000 kB\nMemAvailable: 90000 kB\n",
        "proc/loadavg": "900.0 1 1 1/1 1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    board = Board(tmp_path / "sys", tmp_path / "proc", "no-such-vcgencmd")
    found = {finding.check: finding for finding in machine.checks(Context(board=board))}
    assert found["board"].seen.startswith("Raspberry Pi 5 Model B Rev 1.0, ")
    assert found["temperature"].level is Level.FAILURE
    assert found["power"].seen == "now: under-voltage"
    assert found["memory"].level is Level.FAILURE
    assert found["load"].level is Level.WARNING
