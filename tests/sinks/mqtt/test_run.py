"""The whole program and a real broker: from the command line to a subscriber, and back by a command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.broker import Broker, Subscriber
from tests.helpers.waiting import until
from tests.sinks.mqtt.support import records

pytestmark = pytest.mark.mosquitto

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = """
source = "synthetic:?fps=10"
engine = "fake"
device_id = "hall-1"
privacy_switch = true
sinks = ["mqtt://{address}/site?snapshot=0.2s&every=1s&homeassistant=yes"]
[[mask]]
name = "all"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[rule]]
name = "anything"
"""


@contextmanager
def edgecam(folder: Path, address: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "edgecam.toml").write_text(SETTINGS.format(address=address))
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecam", "run", "--config", str(folder / "edgecam.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_from_the_command_line_to_the_broker_and_back(
    tmp_path: Path, broker: Broker, watcher: Subscriber
) -> None:
    base = "site/hall-1"

    def states() -> list[str]:
        return [record["state"] for record in records(watcher, f"{base}/state")]

    with edgecam(tmp_path, broker.address) as process:
        until("a step of an event", lambda: records(watcher, f"{base}/event/anything"), 60)
        until("health", lambda: records(watcher, f"{base}/health"))
        watcher.say(f"{base}/set/pause", "ON")
        until("it pauses", lambda: states()[-1] == "paused")
        watcher.say(f"{base}/set/pause", "OFF")
        until("it goes on", lambda: states()[-1] == "running")
        covered = len(watcher.bodies(f"{base}/snapshot")[-1])
        watcher.say(f"{base}/set/privacy", "OFF")
        until(
            "a picture with more in it", lambda: len(watcher.bodies(f"{base}/snapshot")[-1]) > covered * 1.5
        )
        watcher.say(f"{base}/set/privacy", "ON")
        until("covered again", lambda: len(watcher.bodies(f"{base}/snapshot")[-1]) < covered * 1.2)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 0, said
    assert "privacy OFF: nothing is covered, by mqtt" in said and "paused, by mqtt" in said
    until("the end is told", lambda: watcher.bodies(f"{base}/online")[-1] == b"offline")
    birth = records(watcher, f"{base}/birth")[0]
    model = ROOT / "models" / "detect-coco.tflite"
    assert birth["model"]["name"] == "detect-coco"
    assert birth["model"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    steps = records(watcher, f"{base}/event/anything")
    assert [step["n"] for step in steps] == list(range(1, len(steps) + 1))
    started = {step["id"] for step in steps if step["phase"] == "start"}
    assert started == {step["id"] for step in steps if step["phase"] == "end"}, "what began has ended"
    assert json.loads(watcher.bodies("homeassistant/device/edgecam-hall-1/config")[0])["device"]


def test_every_topic_is_documented(tmp_path: Path, broker: Broker, watcher: Subscriber) -> None:
    text = (ROOT / "docs" / "mqtt.md").read_text()
    first = re.findall(r"^\| (`[^|]+) \|", text[text.index("## The tree") :], re.MULTILINE)
    known = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    with edgecam(tmp_path, broker.address):
        until("a step of an event", lambda: records(watcher, "site/hall-1/event/anything"), 60)
        until("counts", lambda: records(watcher, "site/hall-1/counts"))
        until("health", lambda: records(watcher, "site/hall-1/health"))
    told = {topic.removeprefix("site/hall-1/") for topic, _, _ in watcher.heard if topic.startswith("site/")}
    plain = {
        re.sub(r"^(event|rule|label)/[^/]+", lambda m: f"{m[1]}/{m[1].upper()}", topic) for topic in told
    }
    plain = {topic.replace("event/EVENT", "event/RULE") for topic in plain}
    assert plain <= known, plain - known
    assert len(plain) >= 12
