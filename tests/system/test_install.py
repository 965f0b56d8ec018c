"""Installing, upgrading and going back, on a real systemd."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from . import machine
from .machine import Machine
from .steps import CONFIG, configure, exposure, health, install, pid, show, until_status, write

pytestmark = pytest.mark.system

ROOT = machine.ROOT
PYTHON = Path(sys.prefix) / "bin/python"


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

    def test_the_sandbox_is_as_tight_as_the_documentation_says(self, system: Machine) -> None:
        said = re.search(
            r"`systemd-analyze security edgecam` says \*\*([\d.]+)\*\*",
            (ROOT / "docs/service.md").read_text(),
        )
        assert said and exposure(system) == said[1]
        assert float(said[1]) <= 1.3

    def test_doing_it_again_changes_nothing(self, system: Machine) -> None:
        before = pid(system)
        done = system.edgecam("service", "install")
        said = done.stderr.splitlines()
        assert len(said) == 3 and "running" in said[0] and said[1] == "page: http://127.0.0.1:8080/"
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

    def test_two_services_on_one_camera_are_refused(self, system: Machine) -> None:
        configure(system, source="camera:/dev/video0")
        path = write(system.share / "bad.toml", source="/dev/video0", listen="127.0.0.1:8081")
        done = system.edgecam("service", "install", "--name", "second", "--config", path, check=False)
        assert done.returncode == 2
        assert "edgecam.service has the source 'camera:/dev/video0' already" in done.stderr
        assert not system.path("/etc/edgecam/second.toml").exists()

    def test_a_camera_that_is_not_there_is_said_and_waited_for(self, system: Machine) -> None:
        path = write(system.share / "late.toml", source="/dev/video7", listen="127.0.0.1:8081")
        done = system.edgecam("service", "install", "--name", "late", "--config", path, check=False)
        try:
            assert done.returncode == 1
            assert "waiting for camera (no camera at /dev/video7" in done.stderr
            assert "it begins by itself when the camera comes" in done.stderr
            assert show(system, "ActiveState", "edgecam@late") == "active"
        finally:
            system.edgecam("service", "uninstall", "--name", "late", "--purge")

    def test_a_machine_that_systemd_does_not_run(self, system: Machine) -> None:
        # The command in a mount namespace where /run/systemd is not: what sd_booted(3) looks at.
        hide = 'mount -t tmpfs none /run/systemd && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", hide, "sh", *system.program, "service"]
        for verb in ("install", "status", "logs", "uninstall"):
            done = system.run(*command, verb, check=False)
            assert done.returncode == 1, done.stderr
            assert done.stderr.strip() == (
                "edgecam: this machine is not run by systemd: "
                "let its own service manager call: edgecam run --wait-for-source"
            )
        assert show(system, "ActiveState") == "active"

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

    def test_a_version_that_lacks_a_package_is_not_even_begun(self, system: Machine, clone: Path) -> None:
        first, main = self.version(system), pid(system)
        kept = system.run("ls", "-A", "/opt/edgecam/versions").stdout
        page = f"{clone}/edgecam/sinks/web/metrics.py"
        system.run("sed", "-i", "s/^import prometheus_client/import prometheus_absent/", page)
        code, said = self.other(system, clone)
        assert code == 1
        assert (
            "copy of edgecam does not run (ModuleNotFoundError: No module named 'prometheus_absent')" in said
        )
        assert self.version(system) == first and pid(system) == main
        assert system.run("ls", "-A", "/opt/edgecam/versions").stdout == kept

    def test_a_full_disk_is_said_and_the_old_version_stays(self, system: Machine, clone: Path) -> None:
        first, main = self.version(system), pid(system)
        system.run("mount", "-t", "tmpfs", "-o", "size=20m", "none", "/opt/edgecam/versions")
        try:
            code, said = self.other(system, clone)
            assert code == 1
            assert re.search(r"/opt/edgecam/versions needs \d+ MB, and \d+ MB are free: make room", said)
            assert system.run("ls", "-A", "/opt/edgecam/versions").stdout == ""
        finally:
            system.run("umount", "/opt/edgecam/versions")
        assert self.version(system) == first and pid(system) == main

    def test_a_disk_that_is_full_for_the_settings_alone(self, system: Machine) -> None:
        main = pid(system)
        before = system.path(CONFIG).read_text()
        system.run("mount", "-t", "tmpfs", "-o", "size=4k", "none", "/etc/edgecam")
        try:
            system.run("sh", "-c", "head -c 4096 /dev/zero > /etc/edgecam/full")
            path = write(system.share / "edgecam.toml", threshold=0.7)
            done = system.edgecam("service", "install", "--config", path, check=False)
            assert done.returncode == 1
            assert "cannot write /etc/edgecam/edgecam.toml (No space left on device)" in done.stderr
            assert system.run("ls", "-A", "/etc/edgecam").stdout == "full\n"
        finally:
            system.run("umount", "/etc/edgecam")
        assert system.path(CONFIG).read_text() == before and pid(system) == main

    def test_half_an_installation_is_made_whole(self, system: Machine) -> None:
        first = self.version(system)
        system.run("rm", f"/opt/edgecam/{first}/complete", f"/opt/edgecam/{first}/bin/edgecam")
        system.edgecam("service", "install")
        assert system.path(f"/opt/edgecam/{first}/bin/edgecam").exists()
        assert show(system, "ActiveState") == "active"
