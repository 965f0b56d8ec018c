"""Discovery, against what Home Assistant takes: its documentation of discovery and of each platform."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edgecam.control import Controls
from edgecam.scene import Line, Rule, Scene, Zone
from edgecam.sinks.mqtt.homeassistant import Offer, components_of, discovery, topic
from edgecam.sinks.mqtt.topics import Topics
from tests.helpers.broker import Broker, Subscriber
from tests.helpers.waiting import until
from tests.sinks.mqtt.support import seen, started

WHERE = "homeassistant/device/edgecam-cam-1/config"
#: What each platform needs, and what else it knows of what we use.
PLATFORMS = {
    "sensor": (
        {"state_topic"},
        {"value_template", "unit_of_measurement", "state_class", "device_class", "entity_category"},
    ),
    "binary_sensor": ({"state_topic"}, {"value_template", "device_class", "entity_category"}),
    "switch": ({"command_topic"}, {"state_topic", "payload_on", "payload_off"}),
    "camera": ({"topic"}, set()),
    "image": ({"image_topic"}, {"content_type"}),
}
EVIL = "{{ states('sensor.x') }} 'a\"/#+"
SCENE = Scene(
    zones=(Zone("door", ((0, 0), (1, 0), (1, 1))),),
    lines=(Line("gate", ((0, 0), (1, 1))),),
    rules=(
        Rule("visitor", zone="door", labels=("person",)),
        Rule("comes in", line="gate", labels=("dog", "traffic light")),
        Rule(EVIL, labels=(EVIL,)),
    ),
)
OFFER = Offer(
    Topics("edgecam", "cam-1"),
    SCENE,
    ("person", EVIL),
    snapshot=True,
    temperature=True,
    pause=True,
    privacy=True,
)


def checked(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entities of a discovery message that Home Assistant takes."""
    assert set(message) <= {
        *("device", "origin", "components", "availability_topic", "payload_available"),
        *("payload_not_available", "qos"),
    }
    assert message["device"]["identifiers"] and message["origin"]["name"]
    entities = message["components"]
    ids = [entity["unique_id"] for entity in entities.values() if len(entity) > 1]
    assert len(ids) == len(set(ids))
    for key, entity in entities.items():
        if len(entity) == 1:
            continue  # taken away: the platform alone
        needed, known = PLATFORMS[entity["platform"]]
        assert needed <= set(entity) <= needed | known | {"platform", "name", "unique_id"}, key
        for name, value in entity.items():
            if name.endswith("topic"):
                assert not re.search(r"[+#\x00-\x1f{]", value) and value.startswith("edgecam/cam-1/"), key
        # Home Assistant renders templates: there must be none that a label could have written.
        assert re.fullmatch(
            r"\{\{ value_json\.[a-z_.]+ \}\}", entity.get("value_template", "{{ value_json.x }}")
        )
    return entities


def test_every_entity_is_one_that_home_assistant_takes() -> None:
    entities = checked(discovery(OFFER))
    by_platform: dict[str, int] = {}
    for entity in entities.values():
        by_platform[entity["platform"]] = by_platform.get(entity["platform"], 0) + 1
    assert by_platform["camera"] == 1 and by_platform["switch"] == 2
    assert by_platform["binary_sensor"] == 2 and by_platform["image"] == 3
    for key in ("fps", "temperature", "inference_ms", "last_label", "label-person", "rule-comes_in-in"):
        assert entities[key]["platform"] == "sensor", key
    assert entities["rule-visitor"]["device_class"] == "occupancy"
    assert entities["rule-visitor"]["state_topic"] == "edgecam/cam-1/rule/visitor"
    assert topic("homeassistant", "cam-1") == WHERE
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", WHERE)


def test_what_is_not_there_is_not_offered() -> None:
    few = checked(discovery(Offer(OFFER.topics, Scene())))
    assert {entity["platform"] for entity in few.values()} == {"sensor"} and "temperature" not in few


def test_an_entity_that_is_gone_is_taken_away() -> None:
    before = components_of(json.dumps(discovery(OFFER)).encode())
    message = discovery(Offer(OFFER.topics, Scene()), before)
    entities = checked(message)
    assert entities["camera"] == {"platform": "camera"} and entities["pause"] == {"platform": "switch"}
    assert len(entities["fps"]) > 3
    for body in (b"", b"nonsense", b"[]", b'{"components": 7}', b'{"components": {"a": {}}}'):
        assert components_of(body) == {}


@pytest.mark.mosquitto
def test_states_are_where_discovery_says(broker: Broker, watcher: Subscriber) -> None:
    """Each template finds its key in the last message of its topic; each command topic does what it says."""
    control = Controls(private=True, may_unveil=True)
    uri = f"mqtt://{broker.address}/?homeassistant=yes&snapshot=1s&labels=person&every=1s"
    with started(uri, control=control) as (sink, _):
        shot = seen(0, [("start", "e-1")], temperature=40.0)
        shot.counts = {"visitor": {"events": 1, "now": 2}}
        sink.push(shot)
        until("all came", lambda: watcher.bodies("edgecam/cam-1/counts"))
        until("health came", lambda: watcher.bodies("edgecam/cam-1/health"))
        (config,) = watcher.bodies(WHERE)
        entities = checked(json.loads(config))
        values = {}
        for key, entity in entities.items():
            where = entity.get("state_topic") or entity.get("topic") or entity.get("image_topic")
            until(f"{where} has a state", lambda where=where: watcher.bodies(where))
            body = watcher.bodies(where)[-1]
            if "value_template" in entity:
                value = json.loads(body)
                for part in entity["value_template"].strip("{} ").split(".")[1:]:
                    value = value[part]
                values[key] = value
            elif entity["platform"] == "switch":
                values[key] = body.decode()
                assert body.decode() in (entity["payload_on"], entity["payload_off"])
            else:
                assert body.startswith(b"\xff\xd8\xff")
        assert values["rule-visitor"] == "ON" and values["rule-visitor-now"] == 2
        assert values["label-person"] == 1 and values["last_label"] == "person"
        assert values["temperature"] == 40.0 and values["state"] == "running" and values["model"] == "detect"
        assert (values["pause"], values["privacy"]) == ("OFF", "ON")
        watcher.say(entities["pause"]["command_topic"], entities["pause"]["payload_on"])
        until("it pauses", lambda: control.paused)
    retained = [topic for topic, _, _ in watcher.heard if topic.startswith("edgecam/")]
    assert json.loads(config)["availability_topic"] in retained


@pytest.mark.mosquitto
def test_a_rule_that_was_taken_out_of_the_settings(broker: Broker, watcher: Subscriber) -> None:
    uri = f"mqtt://{broker.address}/?homeassistant=discover/here"
    where = "discover/here/device/edgecam-cam-1/config"
    with started(uri, scene=SCENE) as (sink, _):
        sink.push(seen())
        until("it is discovered", lambda: watcher.bodies(where))
    with started(uri, scene=Scene()) as (sink, _):
        until("it is taken away", lambda: (sink.push(seen()), taken(watcher, where))[1])


def taken(watcher: Subscriber, where: str) -> bool:
    entities = json.loads(watcher.bodies(where)[-1])["components"]
    return bool(entities.get("rule-visitor") == {"platform": "binary_sensor"})
