"""The board, as a folder of files says it is."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.board import PI_LIMIT, USUAL_LIMIT, Board, Memory, Throttling
from edgecam.vcgencmd import Firmware


def write(root: Path, files: dict[str, object]) -> None:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


def board(root: Path, files: dict[str, object] | None = None, program: str = "no-such-vcgencmd") -> Board:
    write(root, files or {})
    return Board(root / "sys", root / "proc", program)


def zone(number: int, kind: str, temp: object, **trips: int) -> dict[str, object]:
    folder = f"sys/class/thermal/thermal_zone{number}"
    files: dict[str, object] = {f"{folder}/type": kind, f"{folder}/temp": temp}
    for i, (name, value) in enumerate(trips.items()):
        files |= {f"{folder}/trip_point_{i}_type": name, f"{folder}/trip_point_{i}_temp": value}
    return files


PI = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}


@pytest.fixture
def vcgencmd(tmp_path: Path) -> Callable[[str], str]:
    """Makes a vcgencmd out of a shell script; its path."""

    def make(script: str) -> str:
        path = tmp_path / "bin/vcgencmd"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    empty = board(tmp_path)
    assert (empty.model, empty.is_raspberry_pi) == ("", False)
    assert (empty.temperature(), empty.memory(), empty.load(), empty.under_voltage()) == (None,) * 4
    assert empty.throttling(None) is None
    assert empty.cooled_by_kernel() == ()
    assert empty.limit() == USUAL_LIMIT
    assert not empty.firmware.present


def test_this_machine_can_be_looked_at() -> None:
    here = Board()
    memory = here.memory()
    assert memory is not None
    assert 0 < memory.free <= memory.total
    assert here.load() is not None
    assert here.limit() > 40


def test_model(tmp_path: Path) -> None:
    pi = board(tmp_path, PI)
    assert pi.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert pi.is_raspberry_pi
    assert pi.limit() == PI_LIMIT
    other = board(tmp_path / "pc", {"sys/class/dmi/id/product_name": "ThinkPad"})
    assert (other.model, other.is_raspberry_pi) == ("ThinkPad", False)


def test_the_hottest_cpu_sensor_counts_and_no_other(tmp_path: Path) -> None:
    files = zone(0, "cpu-thermal", 61000) | zone(1, "soc_thermal", 63500) | zone(2, "iwlwifi_1", 90000)
    chip = "sys/class/hwmon/hwmon0"
    assert board(tmp_path, files).temperature() == 63.5
    assert board(tmp_path, {f"{chip}/name": "k10temp", f"{chip}/temp1_input": 70250}).temperature() == 70.25
    write(tmp_path, {f"{chip}/name": "nvme"})
    assert board(tmp_path).temperature() == 63.5


def test_a_board_sensor_does_where_the_cpu_has_none(tmp_path: Path) -> None:
    assert board(tmp_path, zone(0, "acpitz", 40000)).temperature() == 40.0


@pytest.mark.parametrize("value", ["-273200", "200000", "", "hot", "0x10", "9" * 30])
def test_readings_that_cannot_be_true_are_none(tmp_path: Path, value: str) -> None:
    assert board(tmp_path, zone(0, "cpu-thermal", value)).temperature() is None


def test_limit_of_the_kernel_then_of_the_chip(tmp_path: Path) -> None:
    both = zone(0, "cpu-thermal", 50000, critical=110000, passive=85000, active=60000)
    assert board(tmp_path / "a", both).limit() == 85.0
    assert board(tmp_path / "b", zone(0, "x86_pkg_temp", 50000, critical=105000)).limit() == 95.0
    # A trip point that is switched off reads 0.
    assert board(tmp_path / "c", zone(0, "x86_pkg_temp", 50000, passive=0)).limit() == USUAL_LIMIT
    chip = "sys/class/hwmon/hwmon3"
    assert board(tmp_path / "d", {f"{chip}/name": "coretemp", f"{chip}/temp1_crit": 100000}).limit() == 90.0
    assert board(tmp_path / "e", zone(0, "wifi", 50000, passive=70000)).limit() == USUAL_LIMIT


# Throttling


@pytest.mark.parametrize(
    ("bits", "now", "before"),
    [
        (0x0, (), ()),
        (0x1, ("under-voltage",), ()),
        (0x50000, (), ("under-voltage", "throttled")),
        (0x50005, ("under-voltage", "throttled"), ()),
        (0xE0008, ("soft temperature limit reached",), ("CPU clock capped", "throttled")),
        (0x20002, ("CPU clock capped",), ()),
    ],
)
def test_bits(bits: int, now: tuple[str, ...], before: tuple[str, ...]) -> None:
    assert Throttling.of_bits(bits) == Throttling(now, before)


def test_what_calls_for_less_work() -> None:
    assert Throttling.of_bits(0xF).serious == ("under-voltage", "throttled")
    assert Throttling.of_bits(0xF000A).serious == ()
    assert Throttling(("slowed by the kernel (cpufreq-cpu0)",)).serious


@given(st.integers(0, 2**32 - 1))
def test_every_bit_pattern_says_each_thing_once(bits: int) -> None:
    found = Throttling.of_bits(bits)
    words = found.now + found.before
    assert len(set(words)) == len(words) <= 4
    assert bool(found.now) == bool(bits & 0xF)


def volt(alarm: int) -> dict[str, object]:
    return {"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": alarm}


def cooler(kind: str, state: int) -> dict[str, object]:
    folder = "sys/class/thermal/cooling_device0"
    return {f"{folder}/type": kind, f"{folder}/cur_state": state}


def test_what_the_kernel_knows_of_power(tmp_path: Path) -> None:
    assert board(tmp_path, volt(0)).throttling(None) == Throttling()
    low = board(tmp_path, volt(1))
    assert low.throttling(None) == Throttling(("under-voltage",))
    # Said twice by two who know, told once.
    assert low.throttling(0x10001) == Throttling(("under-voltage",))
    assert low.throttling(0x10000) == Throttling(("under-voltage",))
    write(tmp_path, volt(1) | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": ""})
    assert board(tmp_path).under_voltage() is None


def test_a_cpu_that_the_kernel_slows_down(tmp_path: Path) -> None:
    assert board(tmp_path, cooler("cpufreq-cpu0", 2)).throttling(None) == Throttling(
        ("slowed by the kernel (cpufreq-cpu0)",)
    )
    assert board(tmp_path, cooler("cpufreq-cpu0", 0)).throttling(None) is None
    assert board(tmp_path, cooler("pwm-fan", 3)).cooled_by_kernel() == ()


# Memory


MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB"


def test_memory(tmp_path: Path) -> None:
    found = board(tmp_path, {"proc/meminfo": MEMINFO}).memory()
    assert found == Memory(1000 << 10, 600 << 10, 50 << 10)
    assert found.free == 600 << 10
    assert board(tmp_path, {"proc/meminfo": "MemAvailable: 5 kB"}).memory() is None


def test_the_tightest_control_group_bounds_memory(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "1:name=systemd:/x\n0::/a/b",
        "sys/fs/cgroup/a/memory.max": 400 << 10,
        "sys/fs/cgroup/a/memory.current": 300 << 10,
        "sys/fs/cgroup/a/b/memory.max": "max",
    }
    found = board(tmp_path, files).memory()
    assert found is not None
    assert (found.limit, found.free) == (400 << 10, 100 << 10)
    write(tmp_path, {"sys/fs/cgroup/a/memory.current": 500 << 10})
    over = board(tmp_path).memory()
    assert over is not None
    assert over.free == 0


def test_load(tmp_path: Path) -> None:
    assert board(tmp_path, {"proc/loadavg": "3.25 1.00 0.50 2/300 1234"}).load() == 3.25
    assert board(tmp_path, {"proc/loadavg": "busy"}).load() is None


# vcgencmd


def test_the_firmware_is_asked(vcgencmd: Callable[[str], str]) -> None:
    firmware = Firmware(vcgencmd('[ "$1" = get_throttled ] && echo throttled=0x50005'))
    assert firmware.present
    assert (firmware.ask(), firmware.problem) == (0x50005, "")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            'echo "Can\'t open device file: /dev/vcio" >&2; exit 1',
            "Can't open device file: /dev/vcio",
        ),
        ("exit 0", "no answer"),
        ("printf '\\377\\376'", "��"),
        ("echo throttled=0xyz", "throttled=0xyz"),
        ("exec sleep 60", "no answer within 0.3 s"),
    ],
)
def test_a_firmware_that_does_not_answer(
    vcgencmd: Callable[[str], str], script: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Firmware, "PATIENCE", 0.3 if "sleep" in script else 30.0)
    firmware = Firmware(vcgencmd(script))
    assert (firmware.ask(), firmware.problem) == (None, problem)


def test_no_firmware() -> None:
    firmware = Firmware("no-such-vcgencmd")
    assert (firmware.ask(), firmware.poll(), firmware.problem) == (None, None, "")


def wait_for(firmware: Firmware) -> None:
    """Until the question in hand has been answered; the answer is not collected yet."""
    assert firmware._process is not None
    firmware._process.wait(30)


def test_polling_never_waits_and_asks_every_so_often(vcgencmd: Callable[[str], str], tmp_path: Path) -> None:
    now = [100.0]
    count = tmp_path / "count"
    script = f"echo >> {count}; echo throttled=0x$(wc -l < {count})"
    firmware = Firmware(vcgencmd(script), every=10.0, clock=lambda: now[0])
    assert firmware.poll() is None
    wait_for(firmware)
    assert firmware.poll() == 1
    now[0] = 109.0
    assert firmware.poll() == 1
    now[0] = 110.0
    assert firmware.poll() == 1  # asked again, not answered yet
    wait_for(firmware)
    assert firmware.poll() == 2


def test_polling_gives_up_a_program_that_hangs(vcgencmd: Callable[[str], str]) -> None:
    now = [0.0]
    firmware = Firmware(vcgencmd("exec sleep 60"), clock=lambda: now[0])
    firmware.poll()
    process = firmware._process
    assert process is not None
    now[0] = Firmware.PATIENCE + 1
    assert firmware.poll() is None
    assert firmware.problem == "no answer within 3 s"
    assert process.returncode is not None
    firmware.close()


def test_closing_ends_a_question(vcgencmd: Callable[[str], str]) -> None:
    firmware = Firmware(vcgencmd("exec sleep 60"))
    firmware.poll()
    process = firmware._process
    assert process is not None
    firmware.close()
    assert process.returncode is not None


def test_a_program_that_is_gone_meanwhile(vcgencmd: Callable[[str], str]) -> None:
    path = vcgencmd("echo throttled=0x0")
    firmware = Firmware(path)
    Path(path).unlink()
    assert firmware.ask() is None
    assert firmware.problem == "No such file or directory"
    assert firmware.poll() is None
