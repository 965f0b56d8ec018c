"""A virtual machine with cameras, for tests of what only a kernel can do.

It boots Debian's own kernel in QEMU (emulated, so no /dev/kvm and no root are needed), with this machine's
file system as its read-only root: the same Python, the same packages, nothing to install and nothing to
build. The kernel brings vivid (a camera that draws colour bars) and USB/IP (a camera made by a program, see
webcam.py).

    python -m tests.vm.machine COMMAND...      run a command in it by hand
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import kernel
from .kernel import Unavailable as Unavailable

ROOT = Path(__file__).resolve().parents[2]
# Loaded in this order, each after what it depends on.
MODULES = {
    "virtio_pci": "",
    "9p": "",
    "9pnet_virtio": "",
    "vivid": "n_devs=1 node_types=0x1",
    "uvcvideo": "",
    "vhci-hcd": "",
}
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module options; do insmod "/modules/$module" $options; done < /modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /root || poweroff -f
for d in dev proc sys; do mount --move /$d /root/$d; done
mount -t tmpfs tmpfs /root/run; mkdir -m 1777 /root/run/tmp /root/run/home
mkdir -p /root/dev/shm; mount -t tmpfs tmpfs /root/dev/shm
ifconfig lo 127.0.0.1
chroot /root /bin/sh /proc/1/root/command < /root/dev/null > /root/dev/ttyS1 2>&1
"""


@dataclass(frozen=True)
class Outcome:
    """What a command in the machine did; ``code`` is None if it never ended."""

    code: int | None
    output: str
    console: str


def check() -> None:
    """Raise :class:`Unavailable` if the machine cannot run here."""
    if platform.machine() != "x86_64":
        raise Unavailable("the virtual machine needs an x86_64 host")
    kernel.need({"qemu-system-x86_64": "qemu-system-x86"})


def run(command: Sequence[str], timeout: float = 900) -> Outcome:
    """Boot, run one command as root in the repository's folder, power off.

    The command sees every file of this machine, read-only; it may write below $TMPDIR.
    """
    check()
    parts = kernel.fetch(MODULES)
    with tempfile.TemporaryDirectory(prefix="edgecam-vm-") as folder:
        initrd, output, console = (Path(folder) / name for name in ("initrd", "output", "console"))
        initrd.write_bytes(_initrd(parts, command))
        qemu = [
            "qemu-system-x86_64", "-M", "q35", "-cpu", "max,la57=off", "-smp", "2", "-m", "1024",
            "-accel", os.environ.get("EDGECAM_VM_ACCEL", "tcg,thread=multi"),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(parts.image), "-initrd", str(initrd),
            "-append", "console=ttyS0 quiet loglevel=4 mitigations=off audit=0 panic=-1",
            "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
            "-serial", f"file:{console}", "-serial", f"file:{output}",
        ]  # fmt: skip
        try:
            subprocess.run(qemu, stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            pass
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"QEMU failed: {error.stderr.decode(errors='replace')}") from error
        text = _read(output)
        end = re.search(r"^edgecam-vm-exit (\d+)$", text, re.MULTILINE)
        return Outcome(int(end[1]) if end else None, text[: end.start()] if end else text, _read(console))


def _read(path: Path) -> str:
    return path.read_text("utf-8", "replace").replace("\r", "") if path.exists() else ""


def _initrd(parts: kernel.Kernel, command: Sequence[str]) -> bytes:
    environment = {
        "HOME": "/run/home",
        "TMPDIR": "/run/tmp",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    words = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), *command]
    script = f"cd {shlex.quote(str(ROOT))}\n{shlex.join(words)}\necho edgecam-vm-exit $?\n"
    files = parts.files()
    files["init"] = (kernel.PROGRAM, (INIT + "sync; poweroff -f\n").encode())
    files["command"] = (kernel.PROGRAM, script.encode())
    return b"".join(kernel.cpio(files))


if __name__ == "__main__":
    try:
        result = run(sys.argv[1:] or ["ls", "-l", "/dev"])
    except Unavailable as problem:
        sys.exit(str(problem))
    print(result.output, end="")
    if result.code is None:
        sys.exit(f"the command did not end\n{result.console}")
    sys.exit(result.code)
