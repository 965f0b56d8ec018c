"""Starts, kills and starts again a mosquitto on 127.0.0.1, and listens to it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.waiting import PATIENCE, until

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Broker:
    """A broker of its own. Skips the test where mosquitto is not installed.

    Args:
        folder: for its settings and its log.
        more: lines of its settings.
        anonymous: lets everybody in.
    """

    def __init__(self, folder: Path, more: Sequence[str] = (), anonymous: bool = True) -> None:
        if not Path(PROGRAM).exists():
            pytest.skip("mosquitto is not installed: apt install mosquitto")
        self.port = free_port()
        self._folder = folder
        self._file = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(anonymous).lower()}",
            "user root",  # pytest's folders are closed to the user that it would become
            *more,
        ]
        self._file.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, always at the same port, and wait until it listens."""
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen([PROGRAM, "-c", str(self._file)], stdout=log, stderr=log)
        log.close()
        until("mosquitto listens", self._listens)

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text()

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(folder: Path, more: Sequence[str] = (), anonymous: bool = True) -> Iterator[Broker]:
    """A broker that is there, and gone afterwards."""
    broker = Broker(folder, more, anonymous)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def users(folder: Path, name: str, password: str) -> list[str]:
    """Lines of a broker's settings by which it lets in that user alone."""
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed: apt install mosquitto")
    subprocess.run([tool, "-b", "-c", str(folder / "users"), name, password], check=True)
    return [f"password_file {folder / 'users'}"]


class Subscriber:
    """Hears everything on a broker, over its restarts: paho's own client, nothing of edgecam's.

    Attributes:
        heard: (topic, body, retained), in order.
    """

    def __init__(self, port: int, filters: Sequence[str] = ("#",), **login: str) -> None:
        paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt: pip install 'edgecam[mqtt]'")
        self.heard: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._filters = filters
        self._client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2, "watcher", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        if login:
            self._client.username_pw_set(login["user"], login["password"])
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE)

    def _on_connect(self, client: Any, *_: Any) -> None:
        client.subscribe([(each, 1) for each in self._filters])

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self.heard.append((message.topic, message.payload, bool(message.retain)))

    def bodies(self, topic: str) -> list[bytes]:
        """What came on one topic."""
        return [body for where, body, _ in list(self.heard) if where == topic]

    def say(self, topic: str, body: str, retain: bool = False) -> None:
        self._client.publish(topic, body, 1, retain).wait_for_publish(PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def listening(port: int, filters: Sequence[str] = ("#",), **login: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(port, filters, **login)
    try:
        yield subscriber
    finally:
        subscriber.close()
