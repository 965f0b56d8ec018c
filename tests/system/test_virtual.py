"""The hardened unit before a real V4L2 camera and a USB device with a Coral's ids, in a virtual machine.

The service was installed in a machine of namespaces before, by `edgecam service install`; what it wrote is
the root of this one. The tests follow each other as they stand here: the camera is absent at first.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecam import jpeg
from tests.vm.kernel import Unavailable

from .machine import Machine
from .steps import (
    configure,
    drop_in,
    exposure,
    fetch,
    install,
    journal,
    pid,
    show,
    until,
    until_status,
    until_told,
)
from .virtual import Virtual

pytestmark = pytest.mark.virtual

VIVID = "/sys/bus/platform/drivers/vivid"
GADGET = "/sys/kernel/config/usb_gadget/coral"
# Emulated, everything takes its time.
LONG = 240
PATIENT = "/etc/systemd/system/edgecam.service.d/emulated.conf"
STREAM = """
import time
from edgecam.registry import parse_uri
from edgecam.sources.camera import CameraSource
source = CameraSource(parse_uri("camera:0"))
source.open()
while source.read():
    print("streaming", flush=True)
"""


@pytest.fixture(scope="module")
def guest() -> Iterator[Virtual]:
    """Switched on without a camera; the service starts with it."""
    try:
        machine = Machine()
    except Unavailable as missing:
        pytest.skip(str(missing))
    with machine:
        install(machine)
        # Small, slow and of integers: all of it is emulated, and multiplying floats takes seconds a picture.
        configure(machine, source="camera:?size=320x180&fps=5", model="classify-person")
        # On a busy machine the emulated start alone has taken longer than the unit grants.
        machine.put(PATIENT, "[Service]\nTimeoutStartSec=600\n")
        machine.halt()
        with machine.files() as root:
            try:
                system = Virtual(root)
            except Unavailable as missing:
                pytest.skip(str(missing))
            with system:
                yield system


def plug(guest: Virtual, how: str) -> None:
    """``bind`` or ``unbind`` the camera: to its driver that is to plug it in or out."""
    guest.run("sh", "-c", f"echo vivid.0 > {VIVID}/{how}")


def test_a_camera_that_comes_half_a_minute_after_the_start(guest: Virtual) -> None:
    assert guest.run("systemctl", "is-active", "edgecam").stdout == "active\n"
    until_status(guest, "waiting for camera (no camera found", LONG)
    main, began = pid(guest), float(show(guest, "ActiveEnterTimestampMonotonic")) / 1e6
    until("30 s", lambda: _uptime(guest) - began >= 30, LONG)
    assert show(guest, "StatusText").startswith("waiting for camera (")
    guest.load("vivid", "n_devs=1 node_types=0x1")
    until_status(guest, "running: ", LONG)
    assert "vivid (/dev/video0)" in show(guest, "StatusText")
    assert pid(guest) == main and show(guest, "NRestarts") == "0"
    until_told(guest, main, "waiting", "running")
    assert 'edgecam_state{state="running"} 1.0' in fetch(guest, "metrics")
    assert guest.run("ps", "-o", "user=", "-p", main).stdout.strip() == "edgecam"


def _uptime(guest: Virtual) -> float:
    return float(guest.run("cat", "/proc/uptime").stdout.split()[0])


def test_unplugged_and_plugged_in_again(guest: Virtual) -> None:
    main = pid(guest)
    plug(guest, "unbind")
    until_status(guest, "waiting for camera (", LONG)
    plug(guest, "bind")
    until_status(guest, "running: ", LONG)
    assert pid(guest) == main and show(guest, "NRestarts") == "0"
    until_told(guest, main, "waiting", "running")


def test_a_camera_that_another_program_has(guest: Virtual) -> None:
    guest.run("systemctl", "stop", "edgecam")
    python = "/opt/edgecam/current/bin/python3"
    guest.run("systemd-run", "--unit", "holder", python, "-I", "-c", STREAM)
    until(
        "streaming", lambda: "streaming" in guest.run("journalctl", "-u", "holder", "-o", "cat").stdout, LONG
    )
    guest.run("systemctl", "start", "edgecam", timeout=700)
    # Emulated, the first attempt may take longer than a camera is given to answer; the next ones tell why.
    until_status(guest, "in use by another program", LONG)
    assert show(guest, "StatusText").startswith("waiting for camera (")
    main = pid(guest)
    guest.run("systemctl", "stop", "holder")
    until_status(guest, "running: ", LONG)
    assert pid(guest) == main and show(guest, "NRestarts") == "0"


def test_a_process_that_hangs_is_killed_in_the_time_of_the_unit(guest: Virtual) -> None:
    before = pid(guest)
    stopped = float(guest.run("date", "+%s.%N").stdout)
    guest.run("kill", "-STOP", before)
    until("a restart", lambda: show(guest, "NRestarts") == "1", LONG)
    lines = [e for e in journal(guest) if "Watchdog timeout (limit 40s)" in str(e["MESSAGE"])]
    killed = int(lines[-1]["__REALTIME_TIMESTAMP"]) / 1e6
    print(f"killed {killed - stopped:.1f} s after it hung; WatchdogSec is 40")
    # Its clock runs from when it was fed last, which was before it hung.
    assert killed - stopped < 42
    until_status(guest, "running: ", LONG)
    assert pid(guest) != before


def test_the_udev_rule_gives_a_coral_to_its_group(guest: Virtual) -> None:
    guest.load("dummy_hcd")
    guest.run("sh", "-c", f"mkdir -p {GADGET}/functions/SourceSink.0 {GADGET}/configs/c.1")
    guest.run("sh", "-c", f"ln -s {GADGET}/functions/SourceSink.0 {GADGET}/configs/c.1")
    seen, listed = {}, {}
    for ids in ("1a6e:089a", "18d1:9302", "1209:0001"):  # with and without its firmware; another device
        _be(guest, ids)
        node = _node(guest, ids)
        seen[ids] = guest.run("stat", "-c", "%G %a", node).stdout.strip()
        said = guest.run("/opt/edgecam/current/bin/edgecam", "devices", "--json", timeout=LONG).stdout
        listed[ids] = [tpu["state"] for tpu in json.loads(said)["edge_tpus"]]
    assert listed == {"1a6e:089a": ["not used yet"], "18d1:9302": ["ready"], "1209:0001": []}
    assert seen == {"1a6e:089a": "plugdev 664", "18d1:9302": "plugdev 664", "1209:0001": "root 664"}


def _be(guest: Virtual, ids: str) -> None:
    """Pull the gadget out and plug it in with other ids."""
    vendor, product = ids.split(":")
    script = (
        f"cd {GADGET}; [ -z \"$(cat UDC)\" ] || echo '' > UDC; "
        f"echo 0x{vendor} > idVendor; echo 0x{product} > idProduct; ls /sys/class/udc > UDC"
    )
    guest.run("sh", "-c", script)


def _node(guest: Virtual, ids: str) -> str:
    """The device file, once the host's side has it."""
    vendor, product = ids.split(":")
    script = (
        f"for d in /sys/bus/usb/devices/*; do [ $(cat $d/idVendor 2>/dev/null)x = {vendor}x ] && "
        f"[ $(cat $d/idProduct) = {product} ] && . $d/uevent && echo /dev/$DEVNAME; done; true"
    )
    found = [""]

    def there() -> bool:
        found[0] = guest.run("sh", "-c", script).stdout.strip()
        return bool(found[0])

    until(f"a device {ids}", there, LONG)
    guest.run("udevadm", "settle")
    return found[0]


def test_the_unit_opens_its_devices_and_is_refused_the_rest(guest: Virtual) -> None:
    _be(guest, "18d1:9302")
    coral = _node(guest, "18d1:9302")
    guest.put("/opt/edgecam/probe.py", (Path(__file__).parent / "probe.py").read_text())
    # As permissive as can be: what refuses is the unit alone.
    guest.run("chmod", "666", "/dev/vda", "/dev/mem")
    guest.run("sh", "-c", "mkdir -p /home/me && touch /home/me/x /root/x")
    guest.run("sh", "-c", "ln -s /dev/vda /dev/edgecam-disk; ln -s /dev/mem /dev/edgecam-loop")
    for network in ("203.0.113.0/24", "192.168.77.0/24"):
        guest.run("ip", "route", "add", network, "dev", "lo", "src", "127.0.0.1")
    guest.run("systemctl", "stop", "edgecam")
    devices = ["/dev/video0", coral, "/dev/vda", "/dev/mem"]
    command = "/opt/edgecam/current/bin/python3 -I /opt/edgecam/probe.py " + " ".join(devices)
    more = "Type=oneshot\nRestart=no\nWatchdogSec=0\nStandardOutput=journal\nExecReload="
    drop_in(guest, f"[Service]\nExecStart=\nExecStart={command}\n{more}\n")
    guest.run("systemctl", "restart", "edgecam", timeout=700)
    lines = [e["MESSAGE"] for e in journal(guest) if str(e["MESSAGE"]).startswith('{"a disk"')]
    said = json.loads(lines[-1])
    print(json.dumps(said))
    assert said["/dev/video0"] == said[coral] == ""
    for refused in ("/dev/vda", "/dev/mem", "a disk", "ptrace", "the internet"):
        assert said[refused] == "EPERM", refused
    allowed = {"this machine", "a camera in the house", "its data", "the processor's facts"}
    assert {name for name, error in said.items() if not error} == allowed | {"/dev/video0", coral}
    assert said["home folders"] in ("EACCES", "ENOENT", "EPERM")


def test_the_exposure_is_that_of_the_containers(guest: Virtual) -> None:
    assert float(exposure(guest)) <= 1.3


def test_the_run_on_the_camera_has_the_cameras_colours(guest: Virtual, tmp_path: Path) -> None:
    """What passes the sandbox is the picture of the kernel's driver, not a placard."""
    guest.run("rm", "-f", "/etc/systemd/system/edgecam.service.d/test.conf")
    guest.run("systemctl", "daemon-reload")
    guest.run("systemctl", "restart", "edgecam", timeout=700)
    until_status(guest, "running: ", LONG)
    code = (
        "import base64, urllib.request as u; "
        "print(base64.b64encode(u.urlopen('http://127.0.0.1:8080/snapshot.jpg?raw=1').read()).decode())"
    )
    image = jpeg.decode(base64.b64decode(guest.run("python3", "-c", code).stdout))
    height, width = image.shape[:2]
    bars = image[height - 20, width // 16 :: width // 8].astype(int) > 128
    white, yellow, cyan, green, magenta, red, blue, black = bars
    assert white.all() and not black.any()
    assert np.array_equal(red, [True, False, False]) and np.array_equal(blue, [False, False, True])
    assert yellow[0] and yellow[1] and not yellow[2] and cyan[2] and green[1] and magenta[0]
