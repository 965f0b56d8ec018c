"""The service on a real systemd: from its installation to its removal, and what may happen between."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from . import machine
from .machine import Machine

pytestmark = pytest.mark.system

ROOT = machine.ROOT
FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/{}').read().decode())"
RESTARTS = int(os.environ.get("EDGECAM_SYSTEM_RESTARTS", "10"))
PYTHON = Path(sys.prefix) / "bin/python"


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    """A machine with the service installed, on the demo scene."""
    try:
        system = Machine()
    except machine.Unavailable as missing:
        pytest.skip(str(missing))
    with system:
        install(system)
        yield system


@pytest.fixture
def system(booted: Machine) -> Iterator[Machine]:
    """The same; what a test changed in settings and drop-ins is undone."""
    yield booted
    booted.run("rm", "-f", "/etc/systemd/system/edgecam.service.d/test.conf")
    configure(booted)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "reset-failed", "edgecam", check=False)
    booted.run("systemctl", "restart", "edgecam")


def install(system: Machine, name: str = "", **settings: Any) -> str:
    """Install with settings; what the command said."""
    path = write(system.share / f"{name or 'edgecam'}.toml", **settings)
    done = system.edgecam("service", "install", "--config", path, *(["--name", name] if name else []))
    return done.stdout + done.stderr


def write(path: Path, **settings: Any) -> Path:
    values = {"source": "demo:", "sinks": ["web:"]} | settings
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def configure(system: Machine, **settings: Any) -> None:
    """Edit the settings as an administrator does; nothing is told to the service."""
    write(system.path("/etc/edgecam/edgecam.toml"), **settings)


def drop_in(system: Machine, text: str) -> None:
    folder = system.path("/etc/systemd/system/edgecam.service.d")
    folder.mkdir(exist_ok=True)
    (folder / "test.conf").write_text(text)
    system.run("systemctl", "daemon-reload")


def show(system: Machine, key: str, unit: str = "edgecam") -> str:
    return system.run("systemctl", "show", unit, "--property", key, "--value").stdout.strip()


def until(what: str, happened: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def until_status(system: Machine, text: str, seconds: float = 40) -> None:
    until(text, lambda: text in show(system, "StatusText"), seconds)


def pid(system: Machine) -> int:
    return int(show(system, "MainPID"))


def journal(system: Machine, *match: str) -> list[dict[str, Any]]:
    said = system.run("journalctl", "--output", "json", "--unit", "edgecam", *match).stdout
    return [json.loads(line) for line in said.splitlines()]


def fetch(system: Machine, page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(system.run("python3", "-c", FETCH.format(page)).stdout)
    return found


def health(system: Machine) -> dict[str, Any]:
    return fetch(system, "healthz")


def frames(system: Machine) -> int:
    return int(fetch(system, "api/status")["status"]["frames"])


class TestInstall:
    def test_frames_flow_and_everybody_says_so(self, system: Machine) -> None:
        until_status(system, " FPS, detect-coco on CPU")
        assert health(system)["state"] == "running"
        status = system.edgecam("service", "status")
        assert re.search(r"state: +running: [\d.]+ FPS, detect-coco", status.stdout)
        assert "restarts:     0" in status.stdout
        as_json = json.loads(system.edgecam("service", "status", "--json").stdout)
        assert as_json["active"] == "active" and as_json["state"].startswith("running")
        assert "demo: -> detect-coco" in system.edgecam("service", "logs", "-n", 200).stdout

    def test_it_runs_as_its_own_user_from_its_own_copy(self, system: Machine) -> None:
        main = pid(system)
        assert system.run("ps", "-o", "user=", "-p", main).stdout.strip() == "edgecam"
        assert system.run("readlink", f"/proc/{main}/cwd").stdout.strip() == "/var/lib/edgecam"
        maps = system.run("cat", f"/proc/{main}/maps").stdout
        assert "/opt/edgecam/versions/" in maps and str(ROOT) not in maps

    def test_systemd_finds_nothing_to_say_against_the_unit(self, system: Machine) -> None:
        template = system.path("/etc/systemd/system/edgecam@.service")
        template.write_text((ROOT / "systemd" / template.name).read_text())
        for unit in ("edgecam.service", "edgecam@front.service"):
            done = system.run("systemd-analyze", "verify", unit)
            assert (done.stdout + done.stderr).strip() == ""
        template.unlink()
        said = system.run("systemd-analyze", "security", "--no-pager", "edgecam.service").stdout
        match = re.search(r"exposure level for edgecam.service: ([\d.]+)", said)
        assert match and float(match[1]) <= 1.3

    def test_doing_it_again_changes_nothing(self, system: Machine) -> None:
        before = pid(system)
        done = system.edgecam("service", "install")
        assert done.stderr.count("\n") == 1 and "running" in done.stderr
        assert pid(system) == before

    def test_a_dry_run_shows_all_and_changes_nothing(self, system: Machine) -> None:
        path = write(system.share / "front.toml", listen="127.0.0.1:8081")
        arguments = ("service", "install", "--dry-run", "--name", "front", "--config", path)
        said = system.edgecam(*arguments).stdout
        for part in ("/etc/edgecam/front.toml", "edgecam@.service", "enable --quiet edgecam@front.service"):
            assert part in said
        assert not system.path("/etc/edgecam/front.toml").exists()

    def test_without_root_it_says_the_very_command(self, system: Machine) -> None:
        done = system.edgecam("service", "install", "--name", "front", check=False, root=False)
        assert done.returncode == 1
        command = done.stderr.strip().partition("needs root: ")[2]
        again = system.edgecam("service", "install", "--dry-run", check=False, root=False)
        assert again.returncode == 1 and "by root only: sudo /" in again.stderr
        assert command.startswith("sudo /") and command.endswith("/bin/edgecam service install --name front")

    def test_edited_files_stay_as_they_are(self, system: Machine) -> None:
        unit = system.path("/etc/systemd/system/edgecam.service")
        original = unit.read_text()
        unit.write_text(original + "# mine\n")
        configure(system, threshold=0.6)
        try:
            said = install(system, threshold=0.7)
            assert "edgecam.service was edited and stays as it is" in said
            assert "edgecam.toml was edited and stays as it is; the new one is" in said
            assert unit.read_text().endswith("# mine\n")
            assert "0.6" in system.path("/etc/edgecam/edgecam.toml").read_text()
            assert "0.7" in system.path("/etc/edgecam/edgecam.toml.new").read_text()
        finally:
            unit.write_text(original)

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"model": "/home/me/parts.tflite"}, "a service cannot see /home"),
            ({"model": "detect-cocoa"}, "did you mean 'detect-coco'"),
            ({"treshold": 1}, "did you mean 'threshold'"),
            ({}, "edgecam.service has its page at 127.0.0.1:8080 already"),
        ],
    )
    def test_settings_that_cannot_work_are_refused(
        self, system: Machine, settings: dict[str, Any], reason: str
    ) -> None:
        path = write(system.share / "bad.toml", **settings)
        arguments = ("service", "install", "--name", "second", "--config", path)
        done = system.edgecam(*arguments, check=False)
        assert done.returncode == 2 and reason in done.stderr
        assert not system.path("/etc/edgecam/second.toml").exists()

    def test_a_second_service_beside_the_first(self, system: Machine) -> None:
        assert "edgecam@front.service: running" in install(system, "front", listen="127.0.0.1:8081")
        assert show(system, "ActiveState") == "active"
        system.edgecam("service", "uninstall", "--name", "front", "--purge")
        assert not system.path("/etc/edgecam/front.toml").exists()
        assert not system.path("/var/lib/edgecam/front").exists()
        assert system.path("/opt/edgecam/current/bin/edgecam").exists()
        assert show(system, "ActiveState") == "active"


class TestUpgrade:
    @pytest.fixture
    def clone(self, system: Machine) -> Path:
        """Another version of the program: a copy of the clone."""
        place = Path("/srv/clone")
        system.run("rm", "-rf", place)
        system.run("mkdir", "-p", place)
        system.run("cp", "-r", *(ROOT / name for name in ("edgecam", "models", "systemd")), place)
        return place

    def other(self, system: Machine, clone: Path) -> tuple[int, str]:
        command = [
            "env",
            f"PYTHONPATH={clone}",
            PYTHON,
            "-m",
            "edgecam",
            "service",
            "install",
            "--timeout",
            "20",
        ]
        done = system.run(*command, check=False)
        return done.returncode, done.stderr

    def version(self, system: Machine) -> str:
        return system.run("readlink", "/opt/edgecam/current").stdout.strip()

    def test_up_and_back(self, system: Machine, clone: Path) -> None:
        first = self.version(system)
        code, said = self.other(system, clone)
        assert code == 0 and "copy the program" in said
        second = self.version(system)
        assert second != first
        assert system.run("readlink", "/opt/edgecam/previous").stdout.strip() == first
        system.edgecam("service", "install", "--rollback")
        assert self.version(system) == first
        until_status(system, "running")
        versions = system.run("ls", "-A", "/opt/edgecam/versions").stdout.split()
        assert len(versions) == 2

    def test_a_version_that_does_not_run_gives_way_to_the_one_before(
        self, system: Machine, clone: Path
    ) -> None:
        first = self.version(system)
        system.run("sh", "-c", f"echo 'raise SystemExit(7)' >> {clone}/edgecam/cli/commands/run.py")
        code, said = self.other(system, clone)
        assert code == 1 and "back to the one before" in said
        assert self.version(system) == first
        until_status(system, "running")

    def test_half_an_installation_is_made_whole(self, system: Machine) -> None:
        first = self.version(system)
        system.run("rm", f"/opt/edgecam/{first}/complete", f"/opt/edgecam/{first}/bin/edgecam")
        system.edgecam("service", "install")
        assert system.path(f"/opt/edgecam/{first}/bin/edgecam").exists()
        assert show(system, "ActiveState") == "active"


class TestCamera:
    """A network camera that is not there, comes, falls silent and goes."""

    def test_it_is_a_state_and_never_the_end_of_the_process(self, system: Machine) -> None:
        configure(system, source="http://127.0.0.1:9000/stream")
        system.run("systemctl", "restart", "edgecam")  # returns: it is ready while it waits
        assert show(system, "StatusText").startswith("waiting for camera (")
        assert system.edgecam("service", "status", check=False).returncode == 1
        main = pid(system)
        camera = system.start(PYTHON, "-m", "tests.system.camera", 9000)
        try:
            until_status(system, "running: ")
            inside = int(system.run("pgrep", "-f", "tests.system.camera").stdout.split()[0])
            system.run("kill", "-STOP", inside)
            until_status(system, "waiting for camera (")
            system.run("kill", "-CONT", inside)
            until_status(system, "running: ")
            system.run("kill", inside)
            until_status(system, "waiting for camera (")
        finally:
            camera.kill()
            camera.wait(10)
        assert pid(system) == main and show(system, "NRestarts") == "0"
        states = [e["EDGECAM_STATE"] for e in journal(system, f"_PID={main}") if "EDGECAM_STATE" in e]
        assert states[0] == "waiting" and states.count("running") == 2
        reasons = [e["EDGECAM_REASON"] for e in journal(system, "EDGECAM_STATE=waiting", f"_PID={main}")]
        assert all("127.0.0.1:9000" in reason for reason in reasons) and len(reasons) < 12


class TestWatchdog:
    def killed(self, system: Machine, seconds: float) -> None:
        until("a restart", lambda: show(system, "NRestarts") == "1", seconds)
        assert any("watchdog" in entry["MESSAGE"].lower() for entry in journal(system))
        until_status(system, "running")

    def test_a_frozen_process_is_started_again(self, system: Machine) -> None:
        drop_in(system, "[Service]\nWatchdogSec=3\nRestartSec=0\n")
        system.run("systemctl", "restart", "edgecam")
        until_status(system, "running")
        system.run("kill", "-STOP", pid(system))
        self.killed(system, 10)

    def test_a_hung_interpreter_is_started_again_though_the_page_lives(self, system: Machine) -> None:
        code = (
            "import os, time, edgecam.pipeline as p\n"
            "from edgecam.cli import main\n"
            "run, n = p.Model.run, []\n"
            "def hang(self, frame):\n"
            "    n.append(1)\n"
            "    if len(n) > 30 and not os.path.exists('once'):\n"
            "        open('once', 'w').close()\n"
            "        time.sleep(1000)\n"
            "    return run(self, frame)\n"
            "p.Model.run = hang\n"
            "main(['run', '--config', '/etc/edgecam/edgecam.toml'])\n"
        )
        system.path("/opt/edgecam/hang.py").write_text(code)
        command = "/opt/edgecam/current/bin/python3 -I /opt/edgecam/hang.py"
        drop_in(system, f"[Service]\nWatchdogSec=3\nRestartSec=0\nExecStart=\nExecStart={command}\n")
        system.run("systemctl", "restart", "edgecam")
        self.killed(system, 15)
        system.run("rm", "-f", "/var/lib/edgecam/once", "/opt/edgecam/hang.py")

    def test_a_run_that_works_is_left_alone(self, system: Machine) -> None:
        drop_in(system, "[Service]\nWatchdogSec=2\n")
        system.run("systemctl", "restart", "edgecam")
        main = pid(system)
        until("150 frames", lambda: frames(system) > 150)  # over two time spans of the watchdog
        assert pid(system) == main


class TestReload:
    def test_good_settings_are_taken_without_leaving_the_process(self, system: Machine) -> None:
        main = pid(system)
        configure(system, model="face")
        system.run("systemctl", "reload", "edgecam")
        until_status(system, "face on CPU")
        assert pid(system) == main

    def test_bad_ones_are_refused_and_the_old_go_on(self, system: Machine) -> None:
        until_status(system, "detect-coco on CPU")
        main = pid(system)
        configure(system, treshold=1)
        system.run("systemctl", "reload", "edgecam")
        said = "new settings refused"
        until(said, lambda: any(said in e["MESSAGE"] for e in journal(system, f"_PID={main}")))
        until("active", lambda: show(system, "ActiveState") == "active")
        assert pid(system) == main and health(system)["state"] == "running"
        # Before the next start they must be right, and a wrong one is not tried for ever.
        system.run("systemctl", "restart", "edgecam", check=False)
        until("failed", lambda: show(system, "ActiveState") == "failed")
        assert show(system, "NRestarts") == "0"


class TestEnd:
    def test_a_recording_is_finished(self, system: Machine) -> None:
        configure(system, sinks=["web:", "record:/var/lib/edgecam/out.mp4"])
        system.run("systemctl", "restart", "edgecam")
        until_status(system, " FPS")
        began = time.monotonic()
        system.run("systemctl", "stop", "edgecam")
        assert time.monotonic() - began < 2
        assert show(system, "Result") == "success"
        video = cv2.VideoCapture(str(system.path("/var/lib/edgecam/out.mp4")))
        assert sum(1 for _ in iter(lambda: video.read()[0], False)) >= 2
        video.release()

    def test_a_full_disk_degrades_the_run_and_does_not_end_it(self, system: Machine) -> None:
        system.run("mkdir", "-p", "/var/lib/edgecam/small")
        system.run("mount", "-t", "tmpfs", "-o", "size=300k,mode=777", "none", "/var/lib/edgecam/small")
        try:
            record = "record:/var/lib/edgecam/small/out.mp4"
            configure(system, source="demo:?size=1280x720", sinks=["web:", record])
            system.run("systemctl", "restart", "edgecam")
            until_status(system, "degraded (record:")
            assert health(system)["state"] == "degraded"
            assert [e["EDGECAM_STATE"] for e in journal(system, "EDGECAM_STATE=degraded")]
        finally:
            system.run("systemctl", "stop", "edgecam")
            system.run("umount", "/var/lib/edgecam/small")

    def test_many_restarts_leave_nothing_behind(self, system: Machine) -> None:
        def held() -> tuple[int, int]:
            """(files, processes) of the service."""
            files = system.run("ls", f"/proc/{pid(system)}/fd").stdout.split()
            group = system.run("cat", "/sys/fs/cgroup/system.slice/edgecam.service/cgroup.procs").stdout
            return len(files), len(group.split())

        def left() -> set[str]:
            found = system.run("find", "/tmp", "/var/tmp", "/run", "/dev/shm", "-user", "edgecam")
            return set(found.stdout.split())

        system.run("systemctl", "restart", "edgecam")
        files, processes = held()
        before = left()
        for _ in range(RESTARTS):
            system.run("systemctl", "restart", "edgecam")
        assert processes == 1 and held()[1] == 1
        assert abs(held()[0] - files) <= 3  # a socket may be on its way
        assert left() == before
        assert show(system, "ActiveState") == "active"


def test_the_service_is_refused_what_it_does_not_need(system: Machine) -> None:
    system.path("/opt/edgecam/probe.py").write_text((Path(__file__).parent / "probe.py").read_text())
    system.run("sh", "-c", "mknod /dev/edgecam-disk b 7 0; chmod 666 /dev/edgecam-disk")
    system.run("sh", "-c", "mknod /dev/edgecam-loop c 10 237; chmod 666 /dev/edgecam-loop")
    system.run("sh", "-c", "mkdir -p /home/me && touch /home/me/x /root/x")
    for network in ("203.0.113.0/24", "192.168.77.0/24"):
        system.run("ip", "route", "add", network, "dev", "lo", "src", "127.0.0.1")
    command = "/opt/edgecam/current/bin/python3 -I /opt/edgecam/probe.py"
    more = "Type=oneshot\nRestart=no\nWatchdogSec=0\nStandardOutput=journal\nExecReload="
    drop_in(system, f"[Service]\nExecStart=\nExecStart={command}\n{more}\n")
    system.run("systemctl", "restart", "edgecam")
    lines = [e["MESSAGE"] for e in journal(system) if str(e["MESSAGE"]).startswith('{"a disk"')]
    said = json.loads(lines[-1])
    allowed = {"this machine", "a camera in the house", "its data", "the processor's facts"}
    assert {name for name, error in said.items() if not error} == allowed, said
    assert said["a disk"] == said["ptrace"] == said["the internet"] == "EPERM"


def test_after_a_restart_of_the_machine_it_is_there_again(system: Machine) -> None:
    system.halt()
    system.boot()
    until_status(system, " FPS, detect-coco")


def test_uninstall_keeps_settings_and_data_and_purge_does_not(booted: Machine) -> None:
    booted.path("/var/lib/edgecam/data").write_text("x")
    booted.edgecam("service", "uninstall")
    assert show(booted, "LoadState") == "not-found"
    assert booted.path("/etc/edgecam/edgecam.toml").exists()
    assert booted.path("/var/lib/edgecam/data").exists()
    assert not booted.path("/opt/edgecam").exists()
    assert (
        "is not installed: sudo edgecam service install"
        in booted.edgecam("service", "status", check=False).stderr
    )
    booted.edgecam("service", "uninstall", "--purge")
    for place in ("/etc/edgecam", "/var/lib/edgecam", "/etc/udev/rules.d/60-edgecam-coral.rules"):
        assert not booted.path(place).exists()
    assert booted.run("id", "edgecam", check=False).returncode != 0
