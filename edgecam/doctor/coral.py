"""The Edge TPU: device, driver, permission, library, interpreter, page size, USB."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam import accelerators
from edgecam.accelerators import EdgeTpu
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Finding, failure, ok, warning
from edgecam.doctor.isolated import Outcome
from edgecam.doctor.packages import RUNTIMES, version_of

_HERE = "edgecam.doctor.coral"
CHECK = "Edge TPU"
PCI_ID = ("0x1ac1", "0x089a")  # Global Unichip, Coral Edge TPU
PAGE = 4096
_LIBRARY_REMEDY = (
    "install libedgetpu1-std in a build for newer interpreters (16.0TF2.17 or later), see docs/coral.md"
)


@dataclass(frozen=True)
class CoralFacts:
    """
    Attributes:
        tpus: that this machine shows.
        pci: a PCIe module answers on the bus, with or without driver.
        driver: ``gasket`` and ``apex`` are loaded.
        page_size: of the kernel, bytes.
        library: of loading ``libedgetpu.so.1`` in a child; its version as value. None: not tried.
        delegates: interpreter package to outcome of loading the library as delegate with the device.
        wanted: why the settings want it, "" if they do not.
        required: without it the run fails, in place of going on with the CPU.
    """

    tpus: Sequence[EdgeTpu] = ()
    pci: bool = False
    driver: bool = False
    page_size: int = PAGE
    library: Outcome | None = None
    delegates: Mapping[str, Outcome] = field(default_factory=dict)
    wanted: str = ""
    required: bool = False


def facts(context: Context) -> CoralFacts:
    settings = context.settings
    tpus = accelerators.edge_tpus(context.sys, context.dev)
    wanted, required = "", settings.require_delegate
    if settings.delegate is None:
        if settings.model.removesuffix(".tflite").endswith(("_edgetpu", "-edgetpu")):
            wanted, required = "the model is compiled for it", True
        elif settings.device.startswith(("usb", "pci")):
            wanted = f"device {settings.device} is set"
        elif required:
            wanted = "a delegate is required"
    usable = [tpu for tpu in tpus if tpu.accessible]
    library = context.call(f"{_HERE}:load_library", {}) if tpus else None
    delegates = {}
    if usable and library is not None and not library.error:
        for name, package in RUNTIMES.items():
            if version_of(package):
                arguments = {"runtime": name, "device": usable[0].device}
                delegates[name] = context.call(f"{_HERE}:load_delegate", arguments)
    return CoralFacts(
        tpus,
        _pci_present(context.sys),
        (context.sys / "module/apex").is_dir(),
        os.sysconf("SC_PAGE_SIZE"),
        library,
        delegates,
        wanted,
        required,
    )


def _pci_present(sys: Path) -> bool:
    for folder in (sys / "bus/pci/devices").glob("*"):
        try:
            ids = ((folder / "vendor").read_text().strip(), (folder / "device").read_text().strip())
        except OSError:
            continue
        if ids == PCI_ID:
            return True
    return False


def load_library() -> str:
    """In the child: what the library says of its version."""
    library = ctypes.CDLL(accelerators.LIBRARY)
    try:
        function = library.edgetpu_version
    except AttributeError:
        return ""
    function.restype = ctypes.c_char_p
    return str((function() or b"").decode("ascii", "replace"))


def load_delegate(runtime: str, device: str) -> bool:
    """In the child: the library as a delegate of an interpreter, with the device opened."""
    from edgecam.engines import runtimes

    runtimes.load(runtime).load_delegate(accelerators.LIBRARY, {"device": device})
    return True


def judge(facts: CoralFacts) -> Iterator[Finding]:
    found = [*_judge_pci(facts)]
    if not facts.tpus and not found:
        if facts.wanted:
            level = failure if facts.required else warning
            yield level(
                CHECK, f"none found, and {facts.wanted}", "plug it in, or use a plain model and --device cpu"
            )
        else:
            yield ok(CHECK, "none, the CPU does the work")
        return
    yield from found
    for tpu in facts.tpus:
        yield from _judge_device(tpu)
    if facts.tpus:
        yield from _judge_library(facts)


def _judge_pci(facts: CoralFacts) -> Iterator[Finding]:
    nodes = any(tpu.kind == "pci" for tpu in facts.tpus)
    if not facts.pci and not nodes:
        return
    if facts.page_size > PAGE:
        yield failure(
            CHECK,
            f"the PCIe driver needs a kernel with pages of 4 KB, this one has {facts.page_size // 1024} KB",
            "add kernel=kernel8.img to /boot/firmware/config.txt and restart",
        )
    if not nodes:
        state = "its driver is loaded but made no /dev/apex_0" if facts.driver else "its driver is not loaded"
        remedy = (
            "sudo dmesg | grep -i -e apex -e gasket tells why"
            if facts.driver
            else ("install gasket-dkms, restart; on a Raspberry Pi 5 with the overlays of docs/coral.md")
        )
        yield failure(CHECK, f"a PCIe module is there, but {state}", remedy)


def _judge_device(tpu: EdgeTpu) -> Iterator[Finding]:
    if not tpu.accessible:
        yield failure(CHECK, f"{tpu.device} at {tpu.path}: no permission", tpu.remedy)
    elif 0 < tpu.speed < 5000:
        yield warning(
            CHECK,
            f"{tpu.device} runs at USB 2 ({tpu.speed} Mbit/s): models take more than twice as long",
            "use a USB 3 port (blue) and the cable that came with it",
        )
    else:
        speed = f", USB 3 ({tpu.speed} Mbit/s)" if tpu.speed else ""
        yield ok(CHECK, f"{tpu.device} at {tpu.path}{speed}")


def _judge_library(facts: CoralFacts) -> Iterator[Finding]:
    library = facts.library
    if library is None:
        return
    if library.error:
        yield failure(CHECK, f"{accelerators.LIBRARY}: {library.error}", _LIBRARY_REMEDY)
        return
    works = [name for name, outcome in facts.delegates.items() if not outcome.error]
    for name, outcome in facts.delegates.items():
        label = f"{RUNTIMES[name]} with {accelerators.LIBRARY}"
        if not outcome.error:
            yield ok(CHECK, f"{label} {library.value}".rstrip())
        elif outcome.crashed:
            yield (warning if works else failure)(
                CHECK, f"{label} {outcome.error}: it was built for another interpreter", _LIBRARY_REMEDY
            )
        else:
            yield (warning if works else failure)(
                CHECK, f"{label}: {outcome.error}", "unplug it, plug it in again; close programs that use it"
            )


def checks(context: Context) -> Iterator[Finding]:
    """Everything of this module, read from the machine."""
    yield from judge(facts(context))
