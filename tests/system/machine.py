"""A Debian with its own systemd as PID 1, in namespaces of this machine: it boots in a second.

Its root is a debootstrap (see debian.py); what a test writes lies in a layer above it. The repository and the
environment of the tests are there under the same paths, read-only, so `edgecam service install` is started as
a user does who has a clone.

    python -m tests.system.machine COMMAND...      run a command in it by hand
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.vm.kernel import Unavailable as Unavailable
from tests.vm.kernel import need

from .debian import CACHE, own_suite, rootfs

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
}

# What PID 1 does before it becomes systemd: $D is the new root.
INIT = r"""
set -e
mount -t tmpfs none "$WORK"
mkdir -p "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$UPPER,workdir=$UPPERWORK" "$WORK/root"
D=$WORK/root
mount --bind "$D" "$D"
mount -t proc proc "$D/proc"
mount --bind "$D/proc/sys" "$D/proc/sys" && mount -o remount,bind,ro "$D/proc/sys"
mount -t sysfs -o ro sysfs "$D/sys"
mount -t cgroup2 none "$D/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$D/dev"
for n in null zero full random urandom tty; do : > "$D/dev/$n"; mount --bind "/dev/$n" "$D/dev/$n"; done
mkdir "$D/dev/pts" "$D/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$D/dev/pts"
ln -s pts/ptmx "$D/dev/ptmx"; ln -s /proc/self/fd "$D/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%%:*}" "$D/dev/${n##*:}"; done
: > "$D/dev/console"
mount -t tmpfs tmpfs "$D/run"; mount -t tmpfs -o mode=1777 tmpfs "$D/tmp"
for place in $SHARED; do
    mkdir -p "$D$place"
    mount --bind "$place" "$D$place"
    mount -o remount,bind,ro "$D$place"
done
chmod 711 "$D/root"  # the environment of the tests may lie there, and nobody is to use it too
hostname edgecam-test
cd "$D"; mkdir -p .old; pivot_root . .old; umount -l /.old
exec env -i container=edgecam-test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    /lib/systemd/systemd --unit=multi-user.target --show-status=no
"""


def check() -> None:
    """Raise :class:`Unavailable` if a machine cannot run here."""
    need(PROGRAMS)
    if os.geteuid() != 0:
        raise Unavailable("namespaces with their own systemd are made by root only: run as root")
    _cgroups()


def _cgroups() -> Path:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise Unavailable("control groups of version 2 are not mounted: mount -t cgroup2 none /sys/fs/cgroup")


class Machine:
    """Booted by :meth:`boot`; what was written stays over :meth:`halt` until :meth:`close`.

    Args:
        suite: the release; without one that whose Python is the one of the tests, and then the tests' own
            environment is there too.

    Attributes:
        share: for files that both sides write: this folder, under the same path inside.
        program: the user's own edgecam, as a command.
    """

    def __init__(self, suite: str = "") -> None:
        check()
        self.suite = suite or own_suite()
        self._base = rootfs(self.suite)
        self._folder = Path(tempfile.mkdtemp(prefix="edgecam-system-"))
        for name in ("layer/upper", "layer/work", "work", "share"):
            (self._folder / name).mkdir(parents=True)
        self._cgroup = _cgroups() / self._folder.name
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        self.share = self._folder / "share"
        # A clone that nobody edits meanwhile: the service's copy is made anew when a file of it changes.
        self.clone = self.share / "clone"
        for name in ("edgecam", "models", "systemd"):
            shutil.copytree(ROOT / name, self.clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.program = ["env", f"PYTHONPATH={self.clone}", str(Path(sys.prefix) / "bin/edgecam")]

    def boot(self) -> Machine:
        self._cgroup.mkdir()
        shared = [ROOT, Path(sys.base_prefix), Path(sys.prefix)] if self.suite == own_suite() else []
        shared += [CACHE, self.share]
        environment = {
            "PATH": os.environ["PATH"],
            "BASE": str(self._base),
            "UPPER": str(self._folder / "layer/upper"),
            "UPPERWORK": str(self._folder / "layer/work"),
            "WORK": str(self._folder / "work"),
            "SHARED": " ".join(str(path) for path in dict.fromkeys(shared)),
        }
        spaces = ["--mount", "--cgroup", "--pid", "--uts", "--ipc", "--net", "--propagation", "private"]
        unshare = ["unshare", *spaces, "--fork", "--kill-child", "sh", "-c", INIT]
        enter = f'echo $$ > {self._cgroup}/cgroup.procs && exec "$@"'
        with (self._folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, "sh", *unshare],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=environment,
            )
        self._wait_for_init()
        return self

    def _wait_for_init(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, IndexError):
                self._init = int(children.read_text().split()[0])
                if Path(f"/proc/{self._init}/comm").read_text() == "systemd\n":
                    state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
                    if state in ("running", "degraded"):
                        return
            time.sleep(0.05)
        raise RuntimeError(f"it did not boot:\n{(self._folder / 'console').read_text()[-2000:]}")

    def run(
        self, *command: object, check: bool = True, root: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root or as nobody; its output as text."""
        words = [str(word) for word in command]
        if not root:
            words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
        enter = [
            "nsenter",
            "--target",
            str(self._init),
            "--mount",
            "--cgroup",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
        ]
        environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        environment += ["HOME=/root", "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "SYSTEMD_PAGER=cat"]
        done = subprocess.run(
            [*enter, *environment, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd="/",
        )
        if check and done.returncode:
            raise AssertionError(f"{words} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def edgecam(self, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
        """The user's own edgecam."""
        return self.run(*self.program, *arguments, **more)

    def put(self, path: str, text: str) -> None:
        """Write a file inside."""
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def through_its_network(self, *command: str) -> list[str]:
        """A command of this machine that has the network of that one."""
        return ["nsenter", "--target", str(self._init), "--net", *command]

    @contextlib.contextmanager
    def files(self) -> Iterator[Path]:
        """All files of the machine, which must be halted, as a folder of this one; read-only."""
        place = self._folder / "files"
        place.mkdir(exist_ok=True)
        layers = f"lowerdir={self._folder}/layer/upper:{self._base}"
        subprocess.run(["mount", "-t", "overlay", "-o", f"ro,{layers}", "overlay", str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def path(self, inside: str) -> Path:
        """A file inside, as this side sees it."""
        return Path(f"/proc/{self._init}/root{inside}")

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        """Run a command inside in the background."""
        enter = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--uts", "--ipc", "--net"]
        return subprocess.Popen(
            [*enter, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
        )

    def halt(self) -> None:
        """Shut down in order, as at a reboot."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGRTMIN + 4)  # systemd: poweroff.target
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._process = None
        self._leave_cgroup()

    def _leave_cgroup(self) -> None:
        deadline = time.monotonic() + 10
        while self._cgroup.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(0.05)

    def close(self) -> None:
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Machine:
        try:
            return self.boot()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def main(command: Sequence[str]) -> int:
    try:
        with Machine() as machine:
            done = machine.run(*command, check=False, timeout=3600)
    except Unavailable as problem:
        sys.exit(str(problem))
    print(done.stdout, done.stderr, sep="", end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["systemctl", "--no-pager", "list-units", "--failed"]))
