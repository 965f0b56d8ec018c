"""Discovery for Home Assistant: one message that describes the device and all its entities.

The form is that of "Device discovery payload" in Home Assistant's documentation of MQTT
(https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload), there since 2024.12. Templates
hold nothing but our own keys: names of labels and rules are data, never part of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgecam import __version__
from edgecam.scene import Scene
from edgecam.sinks.mqtt.topics import OFFLINE, ONLINE, Topics, level

PREFIX = "homeassistant"


@dataclass(frozen=True)
class Offer:
    """What this device has to show.

    Attributes:
        topics: where.
        scene: rules become occupancy sensors and counters.
        labels: become a count each.
        snapshot: pictures are published.
        temperature: there is a sensor.
        pause, privacy: those switches are heard.
    """

    topics: Topics
    scene: Scene
    labels: tuple[str, ...] = ()
    snapshot: bool = False
    temperature: bool = False
    pause: bool = False
    privacy: bool = False


def topic(prefix: str, device: str) -> str:
    """Where Home Assistant looks for the device."""
    return f"{prefix}/device/edgecam-{device}/config"


def discovery(offer: Offer, gone: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The discovery message.

    Args:
        offer: what there is.
        gone: key and platform of entities that an earlier message had: they are taken away.
    """
    topics = offer.topics
    entities: dict[str, dict[str, Any]] = {}
    for part in (_figures(offer), _rules(offer), _labels(offer), _pictures(offer), _switches(offer)):
        entities.update(part)
    for key, entity in entities.items():
        entity["unique_id"] = f"edgecam-{topics.device}-{key}"
    removed = {key: {"platform": platform} for key, platform in (gone or {}).items() if key not in entities}
    return {
        "device": {
            "identifiers": [f"edgecam-{topics.device}"],
            "name": topics.device,
            "manufacturer": "edgecam",
            "model": "edgecam",
            "sw_version": __version__,
        },
        "origin": {"name": "edgecam", "sw_version": __version__},
        "availability_topic": topics.online,
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": 1,
        "components": entities | removed,
    }


def components_of(body: bytes) -> dict[str, str]:
    """Key and platform of each entity in a discovery message; {} for what is none."""
    try:
        found = json.loads(body)["components"]
        return {str(key): str(value["platform"]) for key, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _sensor(name: str, topic: str, key: str, unit: str = "", **more: Any) -> dict[str, Any]:
    out = {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{key} }}}}",
    }
    if unit:
        out |= {"unit_of_measurement": unit, "state_class": "measurement"}
    return out | more


def _figures(offer: Offer) -> dict[str, dict[str, Any]]:
    health, topics = offer.topics("health"), offer.topics
    own = {"entity_category": "diagnostic"}
    out = {
        "state": _sensor("State", topics("state"), "state", **own),
        "fps": _sensor("Results a second", health, "inference_fps", "FPS", **own),
        "camera_fps": _sensor("Pictures a second", health, "camera_fps", "FPS", **own),
        "inference_ms": _sensor("Inference", health, "inference_ms", "ms", device_class="duration", **own),
        "queue": _sensor("Waiting messages", health, "queue.waiting", **own, state_class="measurement"),
        "model": _sensor("Model", topics.birth, "model.name", **own),
        "objects": _sensor("Objects", topics("counts"), "total", state_class="measurement"),
        "last_label": _sensor("Last label", topics("last"), "label"),
    }
    if offer.temperature:
        out["temperature"] = _sensor(
            "Temperature", health, "temperature", "°C", device_class="temperature", **own
        )
    return out


def _rules(offer: Offer) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for rule in offer.scene.rules:
        state, key = offer.topics.rule(rule.name), f"rule-{level(rule.name)}"
        total = {"state_class": "total_increasing"}
        if rule.line is not None:
            out[f"{key}-in"] = _sensor(f"{rule.name} in", state, "in", **total)
            out[f"{key}-out"] = _sensor(f"{rule.name} out", state, "out", **total)
        else:
            out[key] = {
                "platform": "binary_sensor",
                "name": rule.name,
                "device_class": "occupancy",
                "state_topic": state,
                "value_template": "{{ value_json.occupied }}",
            }
            out[f"{key}-now"] = _sensor(f"{rule.name} count", state, "now", state_class="measurement")
        out[f"{key}-events"] = _sensor(f"{rule.name} events", state, "events", **total)
    return out


def _labels(offer: Offer) -> dict[str, dict[str, Any]]:
    return {
        f"label-{level(label)}": _sensor(label, offer.topics.label(label), "count", state_class="measurement")
        for label in offer.labels
    }


def _pictures(offer: Offer) -> dict[str, dict[str, Any]]:
    if not offer.snapshot:
        return {}
    out: dict[str, dict[str, Any]] = {
        "camera": {"platform": "camera", "name": "Camera", "topic": offer.topics.snapshot}
    }
    for rule in offer.scene.rules:
        out[f"rule-{level(rule.name)}-picture"] = {
            "platform": "image",
            "name": f"{rule.name} picture",
            "image_topic": offer.topics.event_snapshot(rule.name),
            "content_type": "image/jpeg",
        }
    return out


def _switches(offer: Offer) -> dict[str, dict[str, Any]]:
    wanted = {"pause": ("Pause", offer.pause), "privacy": ("Privacy", offer.privacy)}
    return {
        key: {
            "platform": "switch",
            "name": name,
            "state_topic": offer.topics.switch(key),
            "command_topic": offer.topics.set(key),
            "payload_on": "ON",
            "payload_off": "OFF",
        }
        for key, (name, there) in wanted.items()
        if there
    }


def labels_of(scene: Scene, named: Iterable[str]) -> tuple[str, ...]:
    """Labels that get a sensor of their own: the named ones, and those that rules ask for."""
    return tuple(dict.fromkeys([*named, *(label for rule in scene.rules for label in rule.labels)]))
