"""A whole Debian in QEMU: its own kernel and systemd, a camera and USB devices that come and go.

Its root is a folder of this machine, read-only; what is written inside stays in the guest's memory. It is
emulated (no /dev/kvm is needed), also for another processor: the Raspberry Pi's, aarch64.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.vm import kernel

MODULES = {
    "virtio_pci": "",
    "9p": "",
    "9pnet_virtio": "",
    "overlay": "",
    "virtio_console": "",
    "virtio_blk": "",
    "usb_f_ss_lb": "",
    "vivid": "",
    "dummy_hcd": "",
}
#: What plugs something in; loaded when a test wants it.
DEVICES = ("vivid", "dummy_hcd")
PROCESSORS: dict[str, tuple[str, ...]] = {
    "amd64": ("qemu-system-x86_64", "-M", "q35", "-cpu", "max,la57=off"),
    "arm64": ("qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72"),
}
QEMU_PACKAGES = {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module options; do
    case $module in LATER) ;; *) insmod "/modules/$module" $options ;; esac
done < /modules/order
mkdir /lower /upper
share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro" "$1" "$2"; }
share root /lower || poweroff -f
mount -t tmpfs -o size=80% upper /upper; mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /root
while read -r tag place; do mkdir -p "/root$place"; share "$tag" "/root$place"; done < /places
# A root that was only unpacked has no users yet.
for name in passwd group; do
    [ -e /root/etc/$name ] || cp /root/usr/share/base-passwd/$name.master /root/etc/$name
done
mount -t tmpfs -o mode=755 tmpfs /root/run
cp -r /modules /root/run/modules; cp /bin/busybox /root/run/busybox; cp /agent.py /root/run/agent.py
units=/root/run/systemd/system; mkdir -p $units/multi-user.target.wants; cp /agent.service $units
ln -s ../agent.service $units/multi-user.target.wants/agent.service
umount /proc /sys; mount --move /dev /root/dev
exec switch_root /root /sbin/init
"""
UNIT = """[Unit]
Description=runs the commands of the tests
[Service]
ExecStart=/usr/bin/python3 -I /run/agent.py
Restart=always
Environment=HOME=/root LC_ALL=C.UTF-8 SYSTEMD_PAGER=cat PYTHONDONTWRITEBYTECODE=1
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""


class Virtual:
    """A guest that is up, until :meth:`close`.

    Args:
        root: its root file system.
        architecture: as Debian calls it.
        shared: folders of this machine by their path inside, read-only.
        memory: MiB.
    """

    def __init__(
        self,
        root: Path,
        architecture: str = "amd64",
        shared: Mapping[str, Path] | None = None,
        memory: int = 3072,
    ) -> None:
        program = PROCESSORS[architecture][0]
        kernel.need({program: QEMU_PACKAGES[architecture]})
        self._folder = Path(tempfile.mkdtemp(prefix="edgecam-virtual-"))
        self._console = self._folder / "console"
        command = self._command(root, architecture, dict(shared or {}), memory)
        self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self._socket = self._connect()
            self._replies = self._socket.makefile("rb")
            self.run("systemctl", "is-system-running", "--wait", check=False, timeout=300)
        except BaseException:
            self.close()
            raise

    def _command(self, root: Path, architecture: str, shared: dict[str, Path], memory: int) -> list[str]:
        parts = kernel.fetch(MODULES, architecture)
        files = parts.files()
        files["init"] = (kernel.PROGRAM, INIT.replace("LATER", "|".join(DEVICES)).encode())
        files["agent.py"] = (kernel.FILE, Path(__file__).with_name("agent.py").read_bytes())
        files["agent.service"] = (kernel.FILE, UNIT.encode())
        places = {f"place{number}": inside for number, inside in enumerate(shared)}
        files["places"] = (kernel.FILE, "".join(f"{t} {p}\n" for t, p in places.items()).encode())
        initrd = self._folder / "initrd"
        initrd.write_bytes(b"".join(kernel.cpio(files)))
        # A disk, for the service to be refused.
        disk = self._folder / "disk"
        disk.write_bytes(bytes(1 << 20))
        command = [
            *PROCESSORS[architecture], "-smp", "2", "-m", str(memory),
            "-accel", os.environ.get("EDGECAM_VM_ACCEL", "tcg,thread=multi"),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
            "-kernel", str(parts.image), "-initrd", str(initrd),
            "-append", f"console={CONSOLES[architecture]} quiet loglevel=4 mitigations=off audit=0 panic=-1 "
            "systemd.unit=multi-user.target systemd.show_status=no systemd.firstboot=off",
            "-drive", f"file={disk},format=raw,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk",
            "-device", "virtio-rng-pci", "-serial", f"file:{self._console}",
            "-chardev", f"socket,id=agent,path={self._folder}/agent,server=on,wait=off",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=edgecam",
        ]  # fmt: skip
        for tag, path in {"root": root, **dict(zip(places, shared.values(), strict=True))}.items():
            command += [
                "-virtfs",
                f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap",
            ]
        return command

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + 30
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(str(self._folder / "agent"))
            except OSError:
                sock.close()
                if self._qemu.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"QEMU did not start: {self._said()}") from None
                time.sleep(0.1)
                continue
            return sock

    def _said(self) -> str:
        errors = b""
        if self._qemu.poll() is not None and self._qemu.stderr is not None:
            errors = self._qemu.stderr.read()
        console = self._console.read_text("utf-8", "replace") if self._console.exists() else ""
        return f"{errors.decode('utf-8', 'replace')}\n{console[-3000:]}"

    def run(
        self, *command: object, check: bool = True, text: str = "", timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root, with ``text`` for its standard input."""
        words = [str(word) for word in command]
        request = {"argv": words, "input": text, "timeout": timeout}
        self._socket.settimeout(timeout + 180)  # it may still be starting
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._replies.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise RuntimeError(f"the machine does not answer to {words}\n{self._said()}")
        reply = json.loads(line)
        done = subprocess.CompletedProcess(words, reply["code"], reply["out"], reply["err"])
        if check and done.returncode:
            raise AssertionError(f"{words} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def put(self, path: str, text: str) -> None:
        """Write a file inside."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, text=text)

    def load(self, module: str, options: str = "") -> None:
        """Load a module of the kernel, and wait until udev has made its devices."""
        self.run("/run/busybox", "insmod", f"/run/modules/{module}", *options.split())
        self.run("udevadm", "settle")

    def close(self) -> None:
        """Switch it off."""
        with contextlib.suppress(AttributeError):
            self._replies.close()
            self._socket.close()
        self._qemu.kill()
        self._qemu.wait(30)
        if self._qemu.stderr is not None:
            self._qemu.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Virtual:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
