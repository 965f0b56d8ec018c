"""A virtual machine with cameras, for tests of what only a kernel can do.

It boots Debian's own kernel in QEMU (emulated, so no /dev/kvm and no root are needed), with this machine's
file system as its read-only root: the same Python, the same packages, nothing to install and nothing to
build. The kernel brings vivid (a camera that draws colour bars) and USB/IP (a camera made by a program, see
webcam.py).

    python -m tests.vm.machine COMMAND...      run a command in it by hand

Kernel and busybox are fetched with apt-get once and kept in $EDGECAM_VM (default ~/.cache/edgecam-vm).
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("EDGECAM_VM", Path.home() / ".cache" / "edgecam-vm"))
KERNEL = "linux-image-amd64"
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


class Unavailable(Exception):
    """Something that the machine needs is missing; the text says what to install."""


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
    for program, package in {
        "qemu-system-x86_64": "qemu-system-x86",
        "apt-get": "apt",
        "dpkg-deb": "dpkg",
    }.items():
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed: apt install {package}")


def run(command: Sequence[str], timeout: float = 900) -> Outcome:
    """Boot, run one command as root in the repository's folder, power off.

    The command sees every file of this machine, read-only; it may write below $TMPDIR.
    """
    check()
    kernel, busybox, modules = _parts()
    with tempfile.TemporaryDirectory(prefix="edgecam-vm-") as folder:
        initrd, output, console = (Path(folder) / name for name in ("initrd", "output", "console"))
        initrd.write_bytes(_initrd(busybox, modules, command))
        qemu = [
            "qemu-system-x86_64", "-M", "q35", "-cpu", "max,la57=off", "-smp", "2", "-m", "1024",
            "-accel", os.environ.get("EDGECAM_VM_ACCEL", "tcg,thread=multi"),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(initrd),
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


def _parts() -> tuple[Path, Path, Path]:
    """(kernel, busybox, folder of modules with their order), made on first use."""
    release = _release()
    home = CACHE / release
    if not (home / "complete").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            new = Path(work) / "new"
            (new / "modules").mkdir(parents=True)
            with _contents(_download(f"linux-image-{release}", Path(work)), Path(work)) as tar:
                _extract_kernel(tar, release, new)
            with _contents(_download("busybox-static", Path(work)), Path(work)) as tar:
                member = next(m for m in tar.getmembers() if m.isfile() and m.name.endswith("bin/busybox"))
                (new / "busybox").write_bytes(_data(tar, member))
            (new / "complete").touch()
            shutil.rmtree(home, ignore_errors=True)
            new.rename(home)
    return home / "vmlinuz", home / "busybox", home / "modules"


def _release() -> str:
    """The release of Debian's current kernel, or of one fetched before if apt knows none now."""
    reply = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=False)
    match = re.search(r"Depends: linux-image-(\S+)", reply.stdout)
    if match:
        return match[1]
    for old in sorted(CACHE.glob("*/complete"), reverse=True):
        return old.parent.name
    raise Unavailable(f"apt knows no package {KERNEL}: apt-get update (Debian)")


def _download(package: str, folder: Path) -> Path:
    reply = subprocess.run(
        ["apt-get", "-q", "download", package], cwd=folder, capture_output=True, text=True, check=False
    )
    found = list(folder.glob(f"{package}_*.deb"))
    if not found:
        raise Unavailable(f"apt-get cannot download {package}: {reply.stderr.strip()[-300:]}")
    return found[0]


def _contents(package: Path, folder: Path) -> tarfile.TarFile:
    unpacked = folder / f"{package.stem}.tar"
    with unpacked.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=file, check=True)
    return tarfile.open(unpacked)


def _data(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _extract_kernel(tar: tarfile.TarFile, release: str, folder: Path) -> None:
    members = {m.name.removeprefix("./"): m for m in tar.getmembers() if m.isfile()}
    (folder / "vmlinuz").write_bytes(_data(tar, members[f"boot/vmlinuz-{release}"]))
    paths = {_module_name(name): m for name, m in members.items() if re.search(r"\.ko(\.xz)?$", name)}
    builtin = next(m for name, m in members.items() if name.endswith("/modules.builtin"))
    known = {_module_name(line) for line in _data(tar, builtin).decode().split()}
    order: dict[str, str] = {}

    def add(name: str) -> None:
        name = _module_name(name)
        if name in order or (name in known and name not in paths):
            return
        data = _data(tar, paths[name])
        if paths[name].name.endswith(".xz"):
            data = lzma.decompress(data)
        # A module names what it needs in its .modinfo section, as zero-terminated key=value.
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for need in needs[1].decode().split(",") if needs and needs[1] else ():
            add(need)
        (folder / "modules" / name).write_bytes(data)
        order[name] = options.get(name, "")

    options = {_module_name(name): text for name, text in MODULES.items()}
    for wanted in MODULES:
        add(wanted)
    (folder / "modules" / "order").write_text("".join(f"{name} {text}\n" for name, text in order.items()))


def _module_name(path: str) -> str:
    """Files are called vhci-hcd.ko or vhci_hcd.ko; dependencies use the underscore."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def _initrd(busybox: Path, modules: Path, command: Sequence[str]) -> bytes:
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
    files: dict[str, tuple[int, bytes]] = dict.fromkeys(
        ("bin", "dev", "proc", "sys", "root", "modules"), (stat.S_IFDIR | 493, b"")
    )
    files["bin/busybox"] = (stat.S_IFREG | 0o755, busybox.read_bytes())
    files["init"] = (stat.S_IFREG | 0o755, (INIT + "sync; poweroff -f\n").encode())
    files["command"] = (stat.S_IFREG | 0o755, script.encode())
    for module in modules.iterdir():
        files[f"modules/{module.name}"] = (stat.S_IFREG | 0o644, module.read_bytes())
    return b"".join(_cpio(files))


def _cpio(files: dict[str, tuple[int, bytes]]) -> Iterator[bytes]:
    """The "newc" archive that Linux unpacks as its first root (kernel: initramfs buffer format)."""
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))]):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + "".join(f"{f:08x}" for f in fields).encode() + name.encode() + b"\0"
        yield head + b"\0" * (-len(head) % 4)
        yield data + b"\0" * (-len(data) % 4)


if __name__ == "__main__":
    try:
        result = run(sys.argv[1:] or ["ls", "-l", "/dev"])
    except Unavailable as problem:
        sys.exit(str(problem))
    print(result.output, end="")
    if result.code is None:
        sys.exit(f"the command did not end\n{result.console}")
    sys.exit(result.code)
