"""A sink that is fed by hand, and what came of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgecam.control import Controls
from edgecam.events import Phase
from edgecam.registry import SINKS, load, sink_uri
from edgecam.scene import Rule, Scene, Zone
from edgecam.sinks.base import SinkContext
from edgecam.sinks.mqtt import MqttSink
from edgecam.types import Packet
from tests.helpers.broker import Subscriber
from tests.sinks.film_support import event
from tests.sinks.support import Listener, packet

MODEL = {"model": "detect", "model_version": "1.2.0", "model_sha256": "ab" * 32, "source": "camera:0"}
ZONE = Zone("door", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
SCENE = Scene(zones=(ZONE,), rules=(Rule("visitor", zone="door", labels=("person",)),))


def seen(
    seq: int = 0, phases: Sequence[tuple[Phase, str]] = (), rule: str = "visitor", **status: Any
) -> Packet:
    """A packet of a model that has a name, with steps of events: (phase, id)."""
    made = packet(seq, state=status.pop("state", "running"), message=status.pop("message", ""))
    made.status = replace(made.status, **{**MODEL, **status})
    made.events = tuple(event(float(seq + 1), phase, name, rule) for phase, name in phases)
    return made


def context(
    listener: Listener,
    *,
    device: str = "cam-1",
    scene: Scene = SCENE,
    control: Controls | None = None,
    live: bool = True,
) -> SinkContext:
    base = listener.context(live)
    return replace(base, device_id=device, scene=scene, control=control)


@contextlib.contextmanager
def started(uri: str, listener: Listener | None = None, **more: Any) -> Iterator[tuple[MqttSink, Listener]]:
    """A sink that runs; closed at the end."""
    listener = listener or Listener()
    parsed = sink_uri(uri)
    sink: MqttSink = load(SINKS, "sink", parsed.scheme)(parsed)
    sink.start(context(listener, **more))
    try:
        yield sink, listener
    finally:
        sink.close()
        assert not sink.failed, sink.failed


def records(watcher: Subscriber, topic: str) -> list[dict[str, Any]]:
    return [json.loads(body) for body in watcher.bodies(topic)]
