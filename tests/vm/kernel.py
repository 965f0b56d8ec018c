"""Debian's kernel for a virtual machine, with just the modules that the tests load.

Kernel and busybox are fetched once with apt-get, which checks their signatures, into $EDGECAM_VM (default
~/.cache/edgecam-vm). apt gets a folder of its own there, so the kernel may be for another architecture and
another release than this machine's, and root is not needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("EDGECAM_VM", Path.home() / ".cache" / "edgecam-vm"))
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DIRECTORY, PROGRAM, FILE = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
#: (mode, content) by name.
Files = dict[str, tuple[int, bytes]]


class Unavailable(Exception):
    """Something that the machine needs is missing; the text says what to install."""


def need(programs: Mapping[str, str]) -> None:
    """Raise :class:`Unavailable` for the first program (its package beside it) that is not there."""
    for program, package in programs.items():
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed: apt install {package}")


def mirror() -> str:
    """The mirror that this machine's apt uses."""
    places = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    for place in places:
        with contextlib.suppress(OSError):
            match = re.search(
                r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", place.read_text(), re.MULTILINE
            )
            if match:
                return match[1]
    raise Unavailable("apt has no source to make a Debian from: see sources.list(5)")


@dataclass(frozen=True)
class Kernel:
    """A folder with ``vmlinuz``, ``busybox`` and ``modules/``: the modules, and their order in ``order``."""

    home: Path

    @property
    def image(self) -> Path:
        return self.home / "vmlinuz"

    def files(self) -> Files:
        """busybox and the modules, for an initrd."""
        files: Files = dict.fromkeys(("bin", "dev", "proc", "sys", "root", "modules"), (DIRECTORY, b""))
        files["bin/busybox"] = (PROGRAM, (self.home / "busybox").read_bytes())
        for module in (self.home / "modules").iterdir():
            files[f"modules/{module.name}"] = (FILE, module.read_bytes())
        return files


def fetch(modules: Mapping[str, str], architecture: str = "amd64", suite: str = "bookworm") -> Kernel:
    """The kernel, made on first use.

    Args:
        modules: which modules with which options; each is loaded after what it depends on.
        architecture: as Debian calls it.
    """
    mark = hashlib.sha256(repr(sorted(modules.items())).encode()).hexdigest()[:8]
    home = CACHE / f"{suite}-{architecture}-{mark}"
    if not (home / "complete").exists():
        need({"apt-get": "apt", "dpkg-deb": "dpkg"})
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            new = Path(work) / "new"
            (new / "modules").mkdir(parents=True)
            apt = _Apt(Path(work), architecture, suite)
            meta = apt.run("apt-cache", "depends", f"linux-image-{architecture}")
            match = re.search(r"Depends: linux-image-(\S+)", meta)
            if match is None:
                raise Unavailable(f"apt knows no kernel for {architecture}: {meta.strip()[-300:]}")
            with apt.contents(f"linux-image-{match[1]}") as tar:
                _extract_kernel(tar, match[1], modules, new)
            with apt.contents("busybox-static") as tar:
                member = next(m for m in tar.getmembers() if m.isfile() and m.name.endswith("bin/busybox"))
                (new / "busybox").write_bytes(_data(tar, member))
            (new / "complete").touch()
            shutil.rmtree(home, ignore_errors=True)
            new.rename(home)
    return Kernel(home)


class _Apt:
    """apt for one architecture and release, in a folder of its own."""

    def __init__(self, folder: Path, architecture: str, suite: str) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
        (folder / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n")
        self._options = [
            f"-o{key}={value}"
            for key, value in {
                "Dir::State": folder / "state",
                "Dir::State::status": folder / "status",
                "Dir::Cache": folder / "cache",
                "Dir::Etc::sourcelist": folder / "sources.list",
                "Dir::Etc::sourceparts": "/dev/null",
                "APT::Architecture": architecture,
                "APT::Architectures": architecture,
                "APT::Sandbox::User": "root",
            }.items()
        ]
        self.run("apt-get", "-q", "update")

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [program, *self._options, *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"{program} {' '.join(arguments)} failed: {done.stderr.strip()[-300:]}")
        return done.stdout

    def contents(self, package: str) -> tarfile.TarFile:
        """The files of a package."""
        self.run("apt-get", "-q", "download", package)
        deb = next(self._folder.glob(f"{package}_*.deb"))
        unpacked = deb.with_suffix(".tar")
        with unpacked.open("wb") as file:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=file, check=True)
        return tarfile.open(unpacked)


def _data(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _extract_kernel(tar: tarfile.TarFile, release: str, modules: Mapping[str, str], folder: Path) -> None:
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
        for other in needs[1].decode().split(",") if needs and needs[1] else ():
            add(other)
        (folder / "modules" / name).write_bytes(data)
        order[name] = options.get(name, "")

    options = {_module_name(name): text for name, text in modules.items()}
    for wanted in modules:
        add(wanted)
    (folder / "modules" / "order").write_text("".join(f"{name} {text}\n" for name, text in order.items()))


def _module_name(path: str) -> str:
    """Files are called vhci-hcd.ko or vhci_hcd.ko; dependencies use the underscore."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def cpio(files: Files) -> Iterator[bytes]:
    """The "newc" archive that Linux unpacks as its first root (kernel: initramfs buffer format)."""
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))]):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + "".join(f"{f:08x}" for f in fields).encode() + name.encode() + b"\0"
        yield head + b"\0" * (-len(head) % 4)
        yield data + b"\0" * (-len(data) % 4)
