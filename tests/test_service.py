"""A run as a process: what systemd and the user hear, and what signals do."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam.notify import Notifier
from edgecam.service import Service, status_line
from edgecam.types import State, Status
from tests.e2e.command import Running


class Manager:
    """Hears what a service manager would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.settimeout(30)

    def next(self) -> str:
        return self.sock.recv(65536).decode()

    def until(self, text: str) -> list[str]:
        """What is heard up to and with the first message that begins with ``text``."""
        deadline = time.monotonic() + 60
        heard = [self.next()]
        while not heard[-1].startswith(text):
            assert time.monotonic() < deadline, f"never: {text}, but {heard[-3:]}"
            heard.append(self.next())
        return heard

    def pending(self) -> list[str]:
        self.sock.setblocking(False)
        heard = []
        try:
            while True:
                heard.append(self.next())
        except BlockingIOError:
            self.sock.settimeout(30)
            return heard


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.sock.close()


def status(state: State = "running", message: str = "", frames: int = 1, fps: float = 30.0) -> Status:
    return Status(state, message, "camera:0", "detect-coco", "CPU x4", "", 30, fps, 12.34, frames=frames)


class TestWatch:
    @pytest.fixture
    def service(self, manager: Manager) -> Service:
        self.said: list[str] = []
        environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
        return Service(self.said.append, notifier=Notifier(environ))

    def test_ready_with_the_first_result_and_not_before(self, service: Service, manager: Manager) -> None:
        service.watch(status("starting", "opening", frames=0), 0)
        assert "READY=1" not in manager.pending()
        service.watch(status(), 1)
        assert manager.pending().count("READY=1") == 1
        service.watch(status(frames=2), 2)
        assert "READY=1" not in manager.pending()

    def test_ready_while_it_waits_for_its_camera(self, service: Service, manager: Manager) -> None:
        service.watch(status("waiting", "no camera", frames=0), 0)
        heard = manager.pending()
        assert "READY=1" in heard and "STATUS=waiting for camera (no camera)" in heard

    def test_the_watchdog_is_fed_while_work_is_done(
        self, service: Service, manager: Manager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgecam.service.FEED_EVERY", 0.0)
        for work, fed in ((1, True), (1, False), (1, False), (2, True)):
            service.watch(status(), work)
            assert ("WATCHDOG=1" in manager.pending()) is fed

    def test_one_line_a_change_of_state_none_a_frame(self, service: Service) -> None:
        steps: list[tuple[State, str]] = [
            *[("running", "")] * 50,
            *[("waiting", "unplugged")] * 20,
            ("waiting", "no camera"),
            ("waiting", "unplugged"),
            ("running", ""),
            ("degraded", "disk full"),
            ("ended", ""),
        ]
        for work, (state, message) in enumerate(steps):
            service.watch(status(state, message), work)
        assert self.said == [
            "running",
            "waiting for camera (unplugged)",
            "waiting for camera (no camera)",
            "running",
            "degraded (disk full)",
        ]

    def test_the_status_line_has_rate_and_model(self) -> None:
        assert status_line(status()) == "running: 30.0 FPS, detect-coco on CPU x4, 12.3 ms, camera:0"
        assert status_line(status("degraded", "disk full")).startswith("degraded (disk full): 30.0 FPS")
        assert status_line(status("waiting", "unplugged")) == "waiting for camera (unplugged)"


@pytest.fixture
def managed(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Manager:
    """Programs started now are under the manager."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    return manager


def settings(path: Path, **values: object) -> Path:
    values = {"source": "demo:", "sinks": ["web:0"], "threshold": 0.5} | values
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """Programs started now hear SIGHUP, also where the tests themselves were started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class TestProcess:
    def test_ready_status_watchdog_and_stopping(self, managed: Manager) -> None:
        with Running("run", "demo:", "--sink", "web:0") as run:
            managed.until("READY=1")
            managed.until("WATCHDOG=1")
            heard = managed.until("STATUS=running: ")
            assert "detect-coco on CPU" in heard[-1]
            assert run.end(signal.SIGTERM) == 0
            assert "STOPPING=1" in managed.pending()
            assert any(line.startswith("SIGTERM: ") for line in run.err)

    def test_it_waits_for_a_camera_that_is_not_there(self, managed: Manager) -> None:
        with Running("run", "97", "--wait-for-source", "--sink", "web:0") as run:
            managed.until("READY=1")
            managed.until("STATUS=waiting for camera (no camera at /dev/video97")
            managed.until("WATCHDOG=1")
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(run.url() + "/healthz", timeout=10)
            assert answer.value.code == 503
            assert json.load(answer.value)["state"] == "waiting"
            assert run.end(signal.SIGTERM) == 0

    def test_new_settings_are_taken_without_leaving_the_process(
        self, managed: Manager, tmp_path: Path
    ) -> None:
        config = settings(tmp_path / "edgecam.toml")
        with Running("run", "--config", config) as run:
            managed.until("READY=1")
            settings(config, model="face")
            run.process.send_signal(signal.SIGHUP)
            managed.until("RELOADING=1")
            managed.until("READY=1")
            run.wait_for("-> face")
            assert run.end(signal.SIGTERM) == 0

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"treshold": 0.1}, "did you mean 'threshold'"),
            ({"model": "detect-cocoa"}, "did you mean 'detect-coco'"),
            ({"source": "rtps://x/"}, "did you mean 'rtsps'"),
            ({"sinks": ["web:?port=high"]}, "number from 0 to 65535"),
        ],
    )
    def test_bad_settings_are_refused_and_the_old_ones_go_on(
        self, managed: Manager, tmp_path: Path, change: dict[str, object], reason: str
    ) -> None:
        config = settings(tmp_path / "edgecam.toml")
        with Running("run", "--config", config) as run:
            managed.until("READY=1")
            url = run.url()
            settings(config, **change)
            run.process.send_signal(signal.SIGHUP)
            assert reason in run.wait_for("new settings refused")
            managed.until("RELOADING=1")
            managed.until("READY=1")
            with urllib.request.urlopen(url + "/healthz", timeout=10) as answer:
                assert json.load(answer)["state"] == "running"
            assert run.end(signal.SIGTERM) == 0

    def test_settings_that_look_good_and_fail_give_way_to_the_old_ones(
        self, managed: Manager, tmp_path: Path
    ) -> None:
        config = settings(tmp_path / "edgecam.toml")
        with socket.create_server(("127.0.0.1", 0)) as taken, Running("run", "--config", config) as run:
            managed.until("READY=1")
            settings(config, sinks=[f"web:{taken.getsockname()[1]}"])
            run.process.send_signal(signal.SIGHUP)
            run.wait_for("back to the old ones")
            managed.until("RELOADING=1")
            managed.until("READY=1")
            assert run.end(signal.SIGTERM) == 0

    def test_a_manager_that_has_the_signal_ignored_reloads_all_the_same(
        self, managed: Manager, tmp_path: Path
    ) -> None:
        config = settings(tmp_path / "edgecam.toml")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Running("run", "--config", config) as run:
            managed.until("READY=1")
            run.process.send_signal(signal.SIGHUP)
            managed.until("RELOADING=1")
            managed.until("READY=1")
            assert run.end(signal.SIGTERM) == 0

    def test_without_a_manager_a_hang_up_ends_the_run(self, tmp_path: Path) -> None:
        with Running("run", "demo:", "--sink", f"record:{tmp_path}/out.mp4", "--sink", "jsonl:-") as run:
            run.wait_for('"seq":5')
            assert run.end(signal.SIGHUP) == 0
        assert (tmp_path / "out.mp4").stat().st_size > 1000

    def test_under_nohup_a_hang_up_does_nothing(self, tmp_path: Path) -> None:
        ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            run = Running("run", "demo:", "--sink", "jsonl:-", "--max-frames", "40")
        finally:
            signal.signal(signal.SIGHUP, ignored)
        with run:
            run.wait_for('"seq":')
            run.process.send_signal(signal.SIGHUP)
            assert run.process.wait(30) == 0
            run.wait_for("40 frames done")

    def test_a_hung_camera_is_replaced_and_the_process_lives(self, managed: Manager) -> None:
        with Running("run", "synthetic:?stall_after=10", "--sink", "jsonl:-", "--engine", "fake") as run:
            run.wait_for('"state":"waiting"')
            run.wait_for("has not answered for 10 s")
            managed.until("WATCHDOG=1")
            run.wait_for('"seq":12,')
            assert run.end(signal.SIGTERM) == 0

    def test_a_signal_while_loading_ends_it(self, tmp_path: Path) -> None:
        # Reading a pipe that nobody writes to: the program is inside of the loading for good.
        os.mkfifo(tmp_path / "labels.txt")
        with Running("run", "synthetic:", "--labels", tmp_path / "labels.txt", "--sink", "web:0") as run:
            writer = os.open(tmp_path / "labels.txt", os.O_WRONLY)  # returns once the program reads
            try:
                run.process.send_signal(signal.SIGTERM)
                assert run.process.wait(10) == 0
            finally:
                os.close(writer)
