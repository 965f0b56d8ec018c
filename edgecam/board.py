"""How the board is: temperature, throttling, memory, load, from sysfs, procfs and a Raspberry Pi's firmware.

Every place is an argument, so that a folder of files can stand for a machine. What a machine does not tell is
None, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecam.vcgencmd import Firmware

#: Bits of ``vcgencmd get_throttled``: what is so now; 16 places further up, what was so since the start
#: (Raspberry Pi documentation, "vcgencmd").
UNDER_VOLTAGE = "under-voltage"
CAPPED = "CPU clock capped"
SOFT_LIMIT = "soft temperature limit reached"
THROTTLE_BITS = {
    0: UNDER_VOLTAGE,
    1: CAPPED,
    2: "throttled",
    3: SOFT_LIMIT,
}
_SINCE_START = 16

#: Degrees Celsius from which a Raspberry Pi's firmware slows the CPU down.
PI_LIMIT = 80.0
#: Where a machine names no limit of its own.
USUAL_LIMIT = 85.0

_CPU_ZONE = re.compile(r"cpu|soc|pkg|package|core|cluster", re.I)
_CPU_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal"})
_CPU_COOLER = re.compile(r"cpu|processor|devfreq", re.I)
_PLAUSIBLE = (-40.0, 150.0)  # degrees Celsius; sensors without a chip behind them say anything


@dataclass(frozen=True, slots=True)
class Throttling:
    """What slows the board down.

    Attributes:
        now: what does at this moment.
        before: what did since the start, and does no more.
    """

    now: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    @property
    def serious(self) -> tuple[str, ...]:
        """What of it calls for less work. A capped clock or a soft limit is a board's everyday life."""
        return tuple(word for word in self.now if word not in (CAPPED, SOFT_LIMIT))

    @classmethod
    def of_bits(cls, bits: int) -> Throttling:
        """From the number that ``vcgencmd get_throttled`` prints."""
        now = tuple(word for bit, word in THROTTLE_BITS.items() if bits >> bit & 1)
        since = (word for bit, word in THROTTLE_BITS.items() if bits >> (bit + _SINCE_START) & 1)
        return cls(now, tuple(word for word in since if word not in now))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes.

    Attributes:
        total: of the machine.
        available: that the machine can give without swapping.
        swap: of all swap space.
        limit: what the control group around this process may use in all, None without a bound.
        used_of_limit: what it uses now.
    """

    total: int
    available: int
    swap: int = 0
    limit: int | None = None
    used_of_limit: int = 0

    @property
    def free(self) -> int:
        """What this process can still get."""
        if self.limit is None:
            return self.available
        return max(0, min(self.available, self.limit - self.used_of_limit))


class Board:
    """The machine this runs on.

    Args:
        sys: where sysfs is mounted.
        proc: where procfs is mounted.
        program: ``vcgencmd``, by name or path.
    """

    def __init__(
        self, sys: Path = Path("/sys"), proc: Path = Path("/proc"), program: str = "vcgencmd"
    ) -> None:
        self._sys = sys
        self._proc = proc
        self.firmware = Firmware(program)

    @property
    def model(self) -> str:
        """``Raspberry Pi 5 Model B Rev 1.0``, or what a PC's maker calls it; "" if nobody says."""
        tree = _text(self._proc / "device-tree/model") or _text(self._sys / "firmware/devicetree/base/model")
        return tree.strip("\0") or _text(self._sys / "class/dmi/id/product_name")

    @property
    def is_raspberry_pi(self) -> bool:
        return self.model.startswith("Raspberry Pi")

    def temperature(self) -> float | None:
        """Degrees Celsius of the hottest CPU sensor."""
        zones = [(name, value) for name, folder in self._zones() for value in _celsius(folder / "temp")]
        cpu = [value for name, value in zones if _CPU_ZONE.search(name)]
        cpu += [value for path in self._chip_files("temp*_input") for value in _celsius(path)]
        # A PC without a driver for its CPU still has the sensor of its board.
        return max(cpu or [value for _, value in zones], default=None)

    def limit(self) -> float:
        """Degrees Celsius at which this board slows itself down, or should."""
        if self.is_raspberry_pi:
            return PI_LIMIT
        trips: dict[str, list[float]] = {}
        for name, folder in self._zones():
            for kind in folder.glob("trip_point_*_type") if _CPU_ZONE.search(name) else ():
                value = _celsius(kind.with_name(kind.name.replace("_type", "_temp")))
                trips.setdefault(_text(kind), []).extend(v for v in value if v > 40)
        critical = trips.get("critical", [])
        critical += [v for path in self._chip_files("temp*_crit") for v in _celsius(path) if v > 40]
        if trips.get("passive"):
            return min(trips["passive"])
        return min(critical) - 10 if critical else USUAL_LIMIT

    def cooled_by_kernel(self) -> tuple[str, ...]:
        """CPU parts that the kernel itself slows down at the moment because of heat."""
        folders = sorted((self._sys / "class/thermal").glob("cooling_device*"))
        return tuple(
            _text(folder / "type")
            for folder in folders
            if _CPU_COOLER.search(_text(folder / "type")) and (_number(folder / "cur_state") or 0) > 0
        )

    def under_voltage(self) -> bool | None:
        """Whether a Raspberry Pi's kernel driver saw too low a voltage within the last seconds."""
        for folder in (self._sys / "class/hwmon").glob("hwmon*"):
            if _text(folder / "name") == "rpi_volt":
                alarm = _number(folder / "in0_lcrit_alarm")
                return None if alarm is None else bool(alarm)
        return None

    def throttling(self, bits: int | None) -> Throttling | None:
        """What slows the board down, by all that is known.

        Args:
            bits: from :class:`Firmware`, None if it was not asked or has none.
        """
        found = Throttling() if bits is None else Throttling.of_bits(bits)
        now = list(found.now)
        low = self.under_voltage()
        if low and UNDER_VOLTAGE not in now:
            now.append(UNDER_VOLTAGE)
        coolers = self.cooled_by_kernel()
        now += [f"slowed by the kernel ({name})" for name in coolers]
        if bits is None and low is None and not coolers:
            return None
        return Throttling(tuple(now), tuple(word for word in found.before if word not in now))

    def memory(self) -> Memory | None:
        """Of the machine, and of the control group (version 2) around this process."""
        rows: list[tuple[str, str]] = re.findall(r"^(\w+):\s+(\d+) kB$", _text(self._proc / "meminfo"), re.M)
        found = dict(rows)
        if "MemTotal" not in found:
            return None
        total, swap = int(found["MemTotal"]) << 10, int(found.get("SwapTotal", 0)) << 10
        available = int(found.get("MemAvailable", found.get("MemFree", 0))) << 10
        limit, used = self._group()
        return Memory(total, available, swap, limit, used)

    def load(self) -> float | None:
        """Processes that ran or waited to run, over the last minute."""
        word = _text(self._proc / "loadavg").partition(" ")[0]
        try:
            return float(word)
        except ValueError:
            return None

    def _group(self) -> tuple[int | None, int]:
        """(limit, bytes used) of the tightest control group around us; (None, 0) without a bound."""
        path = re.search(r"^0::(/.*)$", _text(self._proc / "self/cgroup"), re.M)
        best: tuple[int | None, int] = (None, 0)
        if path is None:
            return best
        top = self._sys / "fs/cgroup"
        folder = top / path[1].lstrip("/")
        for place in (folder, *folder.parents):
            limit = _number(place / "memory.max")
            if limit is not None and (best[0] is None or limit < best[0]):
                best = (limit, _number(place / "memory.current") or 0)
            if place == top:
                break
        return best

    def _zones(self) -> Iterator[tuple[str, Path]]:
        for folder in sorted((self._sys / "class/thermal").glob("thermal_zone*")):
            yield _text(folder / "type"), folder

    def _chip_files(self, pattern: str) -> Iterator[Path]:
        for folder in sorted((self._sys / "class/hwmon").glob("hwmon*")):
            if _text(folder / "name") in _CPU_CHIPS:
                yield from sorted(folder.glob(pattern))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:  # absent, or a sensor that is asleep
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else None


def _celsius(path: Path) -> list[float]:
    """The temperature in a file of thousandths of a degree; nothing where it is none or cannot be true."""
    value = _number(path)
    return [value / 1000] if value is not None and _PLAUSIBLE[0] <= value / 1000 <= _PLAUSIBLE[1] else []
