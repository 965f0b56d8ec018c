"""Edge TPUs (Coral): which are plugged in, and whether this user may use them. Reads sysfs, opens nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

LIBRARY = "libedgetpu.so.1"
# Before its first use the USB stick shows the id of its bootloader, afterwards its own.
USB_IDS = {("1a6e", "089a"): "not used yet", ("18d1", "9302"): "ready"}
_USB_REMEDY = "install the udev rule of edgecam or add the user to the group plugdev, then plug it in again"
_PCI_REMEDY = "add the user to the group apex: sudo usermod -aG apex $USER, then log in again"


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """One Edge TPU.

    Attributes:
        device: the name for ``--device``: ``usb:0``, ``pci:0``.
        path: its device file.
        accessible: whether this process may open it.
        state: ``ready``, or ``not used yet`` for a USB stick before its first use.
        speed: USB speed in Mbit/s (480 is USB 2 and halves the gain, 5000 is USB 3); 0 on PCIe or unknown.
    """

    device: str
    path: Path
    accessible: bool
    state: str = "ready"
    speed: int = 0

    @property
    def kind(self) -> str:
        """``usb`` or ``pci``."""
        return self.device.partition(":")[0]

    @property
    def remedy(self) -> str:
        """What to do where it is not accessible."""
        return _USB_REMEDY if self.kind == "usb" else _PCI_REMEDY


def edge_tpus(sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[EdgeTpu]:
    """All Edge TPUs, USB first, each kind numbered from 0.

    Args:
        sys: where sysfs is mounted.
        dev: where the device files are.
    """
    return [*_usb(sys, dev), *_pci(dev)]


def _usb(sys: Path, dev: Path) -> list[EdgeTpu]:
    places = []
    for folder in (sys / "bus/usb/devices").glob("*"):
        state = USB_IDS.get((_read(folder / "idVendor"), _read(folder / "idProduct")))
        bus, number = _number(folder / "busnum"), _number(folder / "devnum")
        if state and number:
            places.append((bus, number, state, _number(folder / "speed")))
    found = []
    for index, (bus, number, state, speed) in enumerate(sorted(places)):
        path = dev / f"bus/usb/{bus:03d}/{number:03d}"
        found.append(EdgeTpu(f"usb:{index}", path, os.access(path, os.R_OK | os.W_OK), state, speed))
    return found


def _pci(dev: Path) -> list[EdgeTpu]:
    numbered = [
        (int(match[1]), path)
        for path in dev.glob("apex_*")
        if (match := re.fullmatch(r"apex_(\d+)", path.name))
    ]
    return [
        EdgeTpu(f"pci:{index}", path, os.access(path, os.R_OK | os.W_OK))
        for index, (_, path) in enumerate(sorted(numbered))
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip().lower()
    except OSError:  # unplugged between the listing and now
        return ""


def _number(path: Path) -> int:
    text = _read(path)
    return int(text) if text.isdecimal() else 0
