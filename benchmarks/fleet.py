"""A thousand devices on one mosquitto: what they say, and a model that all of them fetch.

    python benchmarks/fleet.py [--devices 1000] [--seconds 30] [--every 10] [--json FILE]

Each simulated device has a connection of its own and says what a real one says on the same topics: its birth,
its state, and every ``--every`` seconds its health and an event, all with QoS 1. One watcher subscribes to
them and holds the numbers of each device's events against each other: what is missing was lost. Then a model
is put on the broker as ``edgecam fleet push`` does it. Every device is told to take it, fetches its pieces,
checks the SHA-256 and answers; the golden samples are left out, they are the device's own work. The devices
run in one process on one thread (a selector and paho's own loop functions).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from process import cpu, memory

from edgecam.fleet.radio import WINDOW, Radio
from edgecam.fleet.rollout import Ledger, Rollout, Staging, published
from edgecam.fleet.roster import Roster
from edgecam.fleet.wire import Command, Job, Manifest, Tree
from edgecam.sinks.mqtt.server import Server
from edgecam.slots.orders import Plan

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
TREE = Tree("edgecam")


class Device:
    """One connection; says things, and fetches what it is told to."""

    def __init__(self, number: int, port: int) -> None:
        self.id = f"cam-{number:04d}"
        self.sent = 0
        self.done = False
        self._command: Command | None = None
        self._manifest: Manifest | None = None
        self._window: range = range(0)
        self._parts: dict[int, bytes] = {}
        self.client = client = paho.Client(CallbackAPIVersion.VERSION2, self.id, protocol=paho.MQTTv5)
        client.will_set(TREE.device(self.id, "online"), b"offline", 1, True)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.connect("127.0.0.1", port, 60)

    def _on_connect(self, client: Any, *_: Any) -> None:
        client.subscribe(TREE.do(self.id), 1)
        self.say("online", b"online")
        self.say("birth", {"model": {"name": "face", "version": "1.0.0"}})
        self.say("state", {"state": "running", "reason": ""})
        self.say("fleet/slots", {"active": "", "name": "settings", "slots": []})

    def say(self, what: str, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.client.publish(TREE.device(self.id, *what.split("/")), data, 1, True)

    def report(self) -> None:
        """Health, and an event with the next number."""
        self.say("health", {"inference_fps": 14.9, "age_ms": 41.5, "frames": self.sent, "dropped": 0})
        self.sent += 1
        body = json.dumps({"device": self.id, "n": self.sent, "label": "person", "rule": "visitor"})
        self.client.publish(TREE.device(self.id, "event", "visitor"), body.encode(), 1)

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        topic, body = message.topic, message.payload
        if topic == TREE.do(self.id):
            self._command = Command.decode(body)
            client.subscribe(TREE.manifest(self._command.sha256), 1)
        elif topic.endswith("/manifest") and body:
            self._manifest = Manifest.decode(body)
            self._next()
        elif body and self._manifest is not None:
            self._parts[int(topic.rpartition("/")[2])] = body
            if all(number in self._parts for number in self._window):
                self._next()

    def _next(self) -> None:
        """Ask for the next pieces; or that was the last."""
        assert self._manifest is not None and self._command is not None
        manifest, first = self._manifest, len(self._parts)
        if first < manifest.pieces:
            self._window = range(first, min(first + WINDOW, manifest.pieces))
            self.client.subscribe([(TREE.piece(manifest.sha256, n), 1) for n in self._window])
            return
        digest = hashlib.sha256(b"".join(self._parts[n] for n in range(manifest.pieces))).hexdigest()
        good = digest == manifest.sha256
        job = Job(self._command.id, "done" if good else "refused", manifest.sha256, "")
        self.say("fleet/job", job.encode())
        self.client.unsubscribe([TREE.piece(manifest.sha256, n) for n in range(manifest.pieces)])
        self._manifest, self._window, self._parts = None, range(0), {}
        self.done = good


class Devices:
    """All on one thread. ``report SECONDS`` on ``control`` makes them talk, ``sent`` asks how much."""

    def __init__(self, count: int, port: int, every: float, control: socket.socket) -> None:
        self._every = every
        self._control = control
        self._until = self._due = self._looked = 0.0
        self._step = 0
        self._selector = selectors.DefaultSelector()
        self._devices = [Device(number, port) for number in range(count)]
        for device in self._devices:
            self._selector.register(device.client.socket(), selectors.EVENT_READ, device)
        control.setblocking(False)
        self._selector.register(control, selectors.EVENT_READ, None)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select(0.005):
                if key.data is not None:
                    key.data.client.loop_read()
                elif not self._ordered(self._control.recv(100).decode()):
                    return
            self._talk(time.monotonic())
            for device in self._devices:
                if device.client.want_write():
                    device.client.loop_write()

    def _ordered(self, order: str) -> bool:
        """Do what the other process says; False for the end."""
        if order.startswith("report"):
            self._due = time.monotonic()
            self._until = self._due + float(order.split()[1])
        elif order == "sent":
            self._control.send(json.dumps([device.sent for device in self._devices]).encode())
        return order != "end"

    def _talk(self, now: float) -> None:
        """Reports that are due, spread evenly over the time from one to the next; pings."""
        while now < self._until and self._due <= now:
            self._devices[self._step % len(self._devices)].report()
            self._step += 1
            self._due += self._every / len(self._devices)
        if now - self._looked > 5:
            self._looked = now
            for device in self._devices:
                device.client.loop_misc()


class Watcher:
    """Hears everything, and counts."""

    def __init__(self, port: int) -> None:
        self.messages = self.bytes = 0
        self.numbers: dict[str, Counter[int]] = {}
        self.online: set[str] = set()
        self._radio = Radio(Server("127.0.0.1", port), self._hear).open()
        self._radio.subscribe(["edgecam/+/online", "edgecam/+/health", "edgecam/+/event/#"])

    def _hear(self, topic: str, body: bytes) -> None:
        self.messages += 1
        self.bytes += len(topic) + len(body)
        device, what = TREE.split(topic)
        if what == "online":
            (self.online.add if body == b"online" else self.online.discard)(device)
        elif what.startswith("event"):
            self.numbers.setdefault(device, Counter())[json.loads(body)["n"]] += 1

    def close(self) -> None:
        self._radio.close()


def wait(what: str, true: Any, seconds: float = 300.0) -> float:
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def measure(options: argparse.Namespace, port: int, broker: int, folder: Path) -> dict[str, Any]:
    count: int = options.devices
    ours, theirs = socket.socketpair()
    watcher = Watcher(port)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        Devices(count, port, options.every, theirs).run()
        os._exit(0)
    wait("all devices", lambda: len(watcher.online) == count)
    figures: dict[str, Any] = {"devices": count, "all_online_s": time.monotonic() - began}
    before = (watcher.messages, watcher.bytes, cpu(broker), cpu(child), time.monotonic())
    ours.send(f"report {options.seconds}".encode())
    time.sleep(options.seconds + 0.5)
    ours.send(b"sent")
    sent = json.loads(ours.recv(1 << 20))
    heard = lambda: sum(len(numbers) for numbers in watcher.numbers.values())  # noqa: E731
    deadline = time.monotonic() + 60
    while heard() < sum(sent) and time.monotonic() < deadline:
        time.sleep(0.05)
    spent = time.monotonic() - before[4]
    messages = watcher.messages - before[0]
    figures["talk"] = {
        "seconds_until_all_heard": spent,
        "messages_heard": messages,
        "messages_per_s": messages / spent,
        "kb_per_s": (watcher.bytes - before[1]) / spent / 1000,
        "events_sent": sum(sent),
        "events_lost": sum(sent) - heard(),
        "events_twice": sum(n - 1 for c in watcher.numbers.values() for n in c.values()),
        "broker_cpu_percent": (cpu(broker) - before[2]) / spent * 100,
        "devices_cpu_percent": (cpu(child) - before[3]) / spent * 100,
        "broker_rss_mb": memory(broker),
    }
    figures["push"] = push(options, port, broker, folder)
    ours.send(b"end")
    os.waitpid(child, 0)
    watcher.close()
    return figures


def push(options: argparse.Namespace, port: int, broker: int, folder: Path) -> dict[str, Any]:
    """A model to all, in waves, by the code of the command line."""
    data = options.model.read_bytes()
    roster = Roster(TREE)
    with Radio(Server("127.0.0.1", port), roster.hear) as radio:
        radio.subscribe(roster.topics)
        roster.settle()
        known = [device.id for device in roster.devices()]
        manifest = Manifest.of(data, options.model.name, "")
        lines: list[str] = []
        ledger = Ledger(folder / "ledger.json", manifest.sha256)
        staging = Staging(canary=0.1, wave=0.5, soak=0.0, plan=Plan(shadow=0.0, trial=0.0))
        used, began = cpu(broker), time.monotonic()
        with published(radio, TREE, manifest, data):
            good = Rollout(radio, roster, TREE, manifest.sha256, staging, ledger, lines.append).run(known)
        seconds = time.monotonic() - began
    done = sum(ledger.done(device) for device in known)
    return {
        "model_mb": len(data) / 1e6,
        "all_waves_good": good,
        "devices_done": done,
        "devices_failed": len(known) - done,
        "seconds": seconds,
        "mb_per_s": done * len(data) / 1e6 / seconds,
        "broker_cpu_percent": (cpu(broker) - used) / seconds * 100,
        "broker_rss_mb": memory(broker),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--every", type=float, default=10, help="seconds between two reports of a device")
    parser.add_argument(
        "--model", type=Path, default=Path(__file__).parents[1] / "models/face.tflite", help="what is pushed"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        free.close()
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type error\n"
            "max_inflight_messages 500\nmax_queued_messages 100000\n"
        )
        broker = subprocess.Popen([PROGRAM, "-c", settings])
        try:
            time.sleep(1)
            figures = {"load_average": os.getloadavg()[0], **measure(options, port, broker.pid, folder)}
            figures["load_average_after"] = os.getloadavg()[0]
        finally:
            broker.terminate()
            broker.wait(10)
    for name, value in figures.items():
        if isinstance(value, dict):
            print(name)
            for key, number in value.items():
                print(f"  {key:24s} {number:12.2f}")
        else:
            print(f"{name:26s} {value:12.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
