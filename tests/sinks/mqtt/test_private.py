"""What a broker gets of a run with a rule of privacy: no picture shows what is covered, and none does when it
cannot be covered. Privacy off and on again by a command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecam import jpeg
from edgecam.config import Settings
from edgecam.control import Controls
from edgecam.types import Image
from tests.helpers.broker import Broker, Subscriber
from tests.helpers.waiting import until
from tests.privacy.support import redness
from tests.privacy.test_ways_out import MARK, SETTINGS, blueness, run, sink
from tests.sinks.mqtt.support import seen, started

pytestmark = pytest.mark.mosquitto


def pictures(watcher: Subscriber) -> list[Image]:
    return [jpeg.decode(body) for topic, body, _ in list(watcher.heard) if topic.endswith("snapshot")]


@pytest.mark.parametrize("boxes", ["yes", "no"])
def test_what_is_covered_does_not_reach_the_broker(broker: Broker, watcher: Subscriber, boxes: str) -> None:
    run([sink(f"mqtt://{broker.address}/?snapshot=0.05s&queue=memory&boxes={boxes}")], SETTINGS)
    until("it is over", lambda: b"offline" in watcher.bodies("edgecam/edgecam/online"))
    found = pictures(watcher)
    assert len(found) > 5 and {topic for topic, _, _ in watcher.heard} >= {
        "edgecam/edgecam/event/door/snapshot"
    }
    assert all(redness(image) < 0.01 and blueness(image) > 150 for image in found)
    assert not [topic for topic, body, _ in watcher.heard if MARK in body]


def test_without_the_face_model_there_is_no_picture(
    broker: Broker, watcher: Subscriber, tmp_path: Path
) -> None:
    settings = Settings(engine="fake", blur=("faces",), face_model=str(tmp_path / "absent.tflite"))
    run([sink(f"mqtt://{broker.address}/?snapshot=0.05s&queue=memory")], settings)
    until("it is over", lambda: b"offline" in watcher.bodies("edgecam/edgecam/online"))
    found = pictures(watcher)
    assert len(found) > 5
    assert all(redness(image) < 0.01 and blueness(image) < 100 for image in found)


def test_commands(broker: Broker, watcher: Subscriber, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    control = Controls(said.append, private=True, may_unveil=True)

    def tell(name: str, word: str, retain: bool = False) -> None:
        watcher.say(f"edgecam/cam-1/set/{name}", word, retain)

    with started(f"mqtt://{broker.address}/", control=control) as (sink, _):
        sink.push(seen())
        for name, at_first in (("pause", b"OFF"), ("privacy", b"ON")):
            until("it is told", lambda n=name, a=at_first: watcher.bodies(f"edgecam/cam-1/{n}") == [a])
        until("it hears", lambda: (tell("pause", "ON"), control.paused)[1])
        until("it says so", lambda: watcher.bodies("edgecam/cam-1/pause")[-1] == b"ON")
        tell("pause", "off")
        tell("privacy", "OFF")
        until("both are heard", lambda: not control.paused and control.veiled is False)
        until("it says so", lambda: watcher.bodies("edgecam/cam-1/privacy")[-1] == b"OFF")
        tell("privacy", "ON")
        until("it is covered again", lambda: control.veiled)
        tell("pause", "maybe")
        until("nonsense is said", lambda: "wants ON or OFF" in caplog.text)
        assert not control.paused
        tell("privacy", "OFF", retain=True)  # to who is connected it comes like any other
        until("it is heard", lambda: control.veiled is False)
    again = Controls(private=True, may_unveil=True)
    with started(f"mqtt://{broker.address}/", control=again) as (sink, _):
        until("it is refused", lambda: "a retained command does not switch privacy off" in caplog.text)
        assert again.veiled


def test_privacy_stays_on_where_the_settings_say_so(broker: Broker, watcher: Subscriber) -> None:
    control = Controls(private=True)
    with started(f"mqtt://{broker.address}/?homeassistant=yes", control=control) as (sink, listener):
        sink.push(seen())
        until("it is there", lambda: watcher.bodies("homeassistant/device/edgecam-cam-1/config"))
        watcher.say("edgecam/cam-1/set/privacy", "OFF")
        refusal = "mqtt: privacy cannot be switched off from outside: set privacy_switch = true to allow it"
        until("it is refused", lambda: refusal in listener.reports)
        assert control.veiled and watcher.bodies("edgecam/cam-1/privacy")[-1] == b"ON"
    (config, *_) = watcher.bodies("homeassistant/device/edgecam-cam-1/config")
    assert b'"pause"' in config and b'"privacy"' not in config


def test_without_commands_nothing_is_heard(broker: Broker, watcher: Subscriber) -> None:
    control = Controls()
    with started(f"mqtt://{broker.address}/?commands=no", control=control) as (sink, _):
        sink.push(seen(0, [("start", "e-1")]))
        until("it is there", lambda: sink.queue.delivered == 1)
        watcher.say("edgecam/cam-1/set/pause", "ON")
        sink.push(seen(1, [("start", "e-2")]))
        until("later things came", lambda: sink.queue.delivered == 2)
        assert not control.paused


def test_a_picture_that_is_no_secret_is_as_it_was(broker: Broker, watcher: Subscriber) -> None:
    """The other side: else this file could pass with nothing shown at all."""
    run(
        [sink(f"mqtt://{broker.address}/?snapshot=0.05s&queue=memory")],
        Settings(engine="fake", mask=("0.9,0.9 1,0.9 1,1",)),
    )
    until("a picture came", lambda: pictures(watcher))
    assert np.mean([redness(image) for image in pictures(watcher)]) > 0.3
