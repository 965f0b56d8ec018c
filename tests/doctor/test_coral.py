"""What is said of Edge TPUs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecam.accelerators import EdgeTpu
from edgecam.config import Settings
from edgecam.doctor import coral
from edgecam.doctor.context import Context
from edgecam.doctor.coral import CoralFacts
from edgecam.doctor.findings import Level
from edgecam.doctor.isolated import Outcome, call
from tests.doctor.support import Calls, levels, one
from tests.test_accelerators import usb

USB = EdgeTpu("usb:0", Path("/dev/bus/usb/002/003"), True, speed=5000)
PCI = EdgeTpu("pci:0", Path("/dev/apex_0"), True)
LIBRARY = Outcome("RuntimeVersion(14)")
WORKS = CoralFacts([USB], library=LIBRARY, delegates={"litert": Outcome(True)})
SEGFAULT = Outcome(error="crashed (SIGSEGV)", crashed=True)


def test_none() -> None:
    assert one(coral.judge(CoralFacts())).level is Level.OK
    finding = one(coral.judge(CoralFacts(wanted="device usb is set")))
    assert (finding.level, finding.seen) == (Level.WARNING, "none found, and device usb is set")
    wanted = CoralFacts(wanted="the model is compiled for it", required=True)
    assert one(coral.judge(wanted)).level is Level.FAILURE


def test_one_that_works() -> None:
    device, library = coral.judge(WORKS)
    assert (device.level, device.seen) == (
        Level.OK,
        "usb:0 at /dev/bus/usb/002/003, USB 3 (5000 Mbit/s)",
    )
    assert library.seen == "ai-edge-litert with libedgetpu.so.1 RuntimeVersion(14)"


def test_usb_2_halves_the_gain() -> None:
    slow, _ = coral.judge(replace(WORKS, tpus=[replace(USB, speed=480)]))
    assert (slow.level, "480" in slow.seen) == (Level.WARNING, True)
    unknown, _ = coral.judge(replace(WORKS, tpus=[replace(USB, speed=0)]))
    assert unknown.level is Level.OK


def test_no_permission() -> None:
    locked = replace(USB, accessible=False)
    finding = next(coral.judge(CoralFacts([locked], library=LIBRARY)))
    assert (finding.level, finding.remedy) == (Level.FAILURE, locked.remedy)


def test_the_library_is_missing() -> None:
    missing = Outcome(error="libedgetpu.so.1: cannot open shared object file", kind="OSError")
    _, finding = coral.judge(CoralFacts([USB], library=missing))
    assert finding.level is Level.FAILURE
    assert "libedgetpu1-std" in finding.remedy


def test_a_library_for_another_interpreter() -> None:
    _, finding = coral.judge(replace(WORKS, delegates={"litert": SEGFAULT}))
    assert finding.level is Level.FAILURE
    assert finding.seen.endswith("crashed (SIGSEGV): it was built for another interpreter")
    # Where another interpreter gets on with it, that is enough.
    both = {"litert": SEGFAULT, "tflite-runtime": Outcome(True)}
    assert levels(coral.judge(replace(WORKS, delegates=both))) == "ok warning ok"
    busy = {"litert": Outcome(error="Failed to load delegate")}
    assert "plug it in again" in list(coral.judge(replace(WORKS, delegates=busy)))[1].remedy


def test_pages_of_16_kb_break_the_pcie_driver() -> None:
    found = list(coral.judge(CoralFacts(pci=True, page_size=16384)))
    assert levels(found) == "failure failure"
    assert "pages of 4 KB, this one has 16 KB" in found[0].seen
    assert "kernel=kernel8.img" in found[0].remedy
    assert "driver is not loaded" in found[1].seen
    assert "gasket-dkms" in found[1].remedy
    loaded = list(coral.judge(CoralFacts(pci=True, driver=True)))
    assert "dmesg" in one(loaded).remedy
    # USB does not mind.
    assert levels(coral.judge(replace(WORKS, page_size=16384))) == "ok ok"
    assert levels(coral.judge(replace(WORKS, tpus=[PCI], pci=True, driver=True))) == "ok ok"


def test_facts_are_read(tmp_path: Path) -> None:
    usb(tmp_path, "2-1", "18d1", "9302", 2, 3)
    module = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    module.mkdir(parents=True)
    (module / "vendor").write_text("0x1ac1\n")
    (module / "device").write_text("0x089a\n")
    (tmp_path / "sys/bus/pci/devices/0000:00:00.0").mkdir()
    (tmp_path / "sys/module/apex").mkdir(parents=True)
    calls = Calls({"load_library": LIBRARY, "load_delegate": Outcome(True)})
    found = coral.facts(Context(call=calls, sys=tmp_path / "sys", dev=tmp_path / "dev"))
    assert [tpu.device for tpu in found.tpus] == ["usb:0"]
    assert (found.pci, found.driver, found.library, found.wanted) == (True, True, LIBRARY, "")
    assert ("load_delegate", {"runtime": "litert", "device": "usb:0"}) in calls.asked


def test_nothing_is_loaded_where_there_is_no_device(tmp_path: Path) -> None:
    calls = Calls()
    found = coral.facts(Context(call=calls, sys=tmp_path, dev=tmp_path))
    assert (found.tpus, found.pci, found.library, calls.asked) == ([], False, None, [])


@pytest.mark.parametrize(
    ("settings", "wanted", "required"),
    [
        (Settings(), "", False),
        (Settings(device="usb:1"), "device usb:1 is set", False),
        (Settings(device="pci", require_delegate=True), "device pci is set", True),
        (Settings(model="/m/bird_edgetpu.tflite"), "the model is compiled for it", True),
        (Settings(model="mobilenet-v2-edgetpu"), "the model is compiled for it", True),
        (Settings(require_delegate=True), "a delegate is required", True),
        (Settings(delegate="/lib/other.so", require_delegate=True), "", True),
    ],
)
def test_who_needs_one(tmp_path: Path, settings: Settings, wanted: str, required: bool) -> None:
    found = coral.facts(Context(settings=settings, call=Calls(), sys=tmp_path, dev=tmp_path))
    assert (found.wanted, found.required) == (wanted, required)


def test_the_library_is_really_asked() -> None:
    outcome = call("edgecam.doctor.coral:load_library", {})
    assert isinstance(outcome.value, str) or "libedgetpu.so.1" in outcome.error
    delegate = call("edgecam.doctor.coral:load_delegate", {"runtime": "litert", "device": "usb:0"})
    assert delegate.value or delegate.error
