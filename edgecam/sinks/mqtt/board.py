"""What a device says of itself on retained topics: each is published when it changes, and no oftener."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgecam import __version__, identity
from edgecam.envelope import encode, envelope, model_of
from edgecam.scene import Rule, Scene
from edgecam.sinks.mqtt.link import Message
from edgecam.sinks.mqtt.topics import Topics
from edgecam.types import Classification, Detections, Packet, QueueState, Status

_MOST_LABELS = 1000  # topics of labels; a model that makes them up must not make more
_FIGURES = (
    *(
        "state",
        "camera_fps",
        "inference_fps",
        "inference_ms",
        "age_ms",
        "frames",
        "still",
        "dropped",
        "broken",
        "lost",
    ),
    *("temperature", "steps_down"),
)
_COUNTS_EVERY = 1.0  # seconds between two messages of counts


class Board:
    """Says how a run is. Used from the sink's thread alone.

    Args:
        topics: of the device.
        scene: the run's rules.
        publish: sends a message.
        every: seconds between two messages of health.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        topics: Topics,
        scene: Scene,
        publish: Callable[[Message], None],
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = topics
        self._rules = {rule.name: rule for rule in scene.rules}
        self._publish = publish
        self._every = every
        self._clock = clock
        self._began = clock()
        self._started = round(time.time(), 3)
        self._told: dict[str, Any] = {}
        self._labels: Counter[str] = Counter()
        self._counts: Packet | None = None  # the newest, while its counts wait to be told
        self._counts_at = self._health_at = -math.inf

    def tell(self, topic: str, facts: Mapping[str, Any], status: Status) -> None:
        """Publish facts, retained, if they are others than the last that were told there."""
        model = model_of(status)
        if self._told.get(topic) != (facts, model):
            self._told[topic] = (facts, model)
            self._publish(
                Message(topic, encode(envelope(self._topics.device, status) | dict(facts)), retain=True)
            )

    def birth(self, status: Status, scene: Scene, host: str) -> None:
        """Say who is there, and what it is set to."""
        who = {"host": host, "machine": identity.machine(), "version": __version__, "started": self._started}
        runs = {"source": status.source, "runtime": status.runtime, "on": status.device}
        self.tell(self._topics.birth, who | runs, status)
        config = {
            "source": status.source,
            "zones": [zone.name for zone in scene.zones],
            "lines": [line.name for line in scene.lines],
            "rules": [
                {"name": rule.name, "zone": rule.zone, "line": rule.line, "labels": list(rule.labels)}
                for rule in scene.rules
            ],
        }
        self.tell(self._topics("config"), config, status)

    def look(self, packet: Packet) -> None:
        """Take a packet: its state, and its counts."""
        status = packet.status
        self.tell(self._topics("state"), {"state": status.state, "reason": status.message}, status)
        for event in packet.events:
            last = {"label": event.label, "rule": event.rule, "event": event.id, "phase": event.phase}
            self.tell(self._topics("last"), last, status)
        if packet.result is not None:
            self._counts = packet

    def tend(self, queue: QueueState, status: Status | None) -> None:
        """Say what is due: counts about once a second, health every so often."""
        now = self._clock()
        if self._counts is not None and now - self._counts_at >= _COUNTS_EVERY:
            packet, self._counts, self._counts_at = self._counts, None, now
            self._tell_counts(packet)
        if status is not None and now - self._health_at >= self._every:
            self._health_at = now
            self.tell(self._topics("health"), self._health(now, queue, status), status)

    def end(self, queue: QueueState, status: Status) -> None:
        """Say the last of it, due or not."""
        self._counts_at = self._health_at = -math.inf
        self.tend(queue, status)
        self.tell(self._topics("state"), {"state": "ended", "reason": status.message}, status)

    def _health(self, now: float, queue: QueueState, status: Status) -> dict[str, Any]:
        plain = status.as_dict()
        figures = {name: plain[name] for name in _FIGURES}
        waits = {"waiting": queue.waiting, "bytes": queue.size, "dropped": queue.dropped}
        return figures | {"reason": status.message, "queue": waits, "uptime": round(now - self._began)}

    def _tell_counts(self, packet: Packet) -> None:
        status, found = packet.status, packet.result
        here: Counter[str] = Counter()
        if isinstance(found, Detections):
            ids, numbers = np.unique(found.class_id, return_counts=True)
            here.update({packet.label(int(i)): int(n) for i, n in zip(ids, numbers, strict=True)})
        elif isinstance(found, Classification) and len(found.class_id):
            here[packet.label(int(found.class_id[0]))] = 1
        for label in here:
            if label in self._labels or len(self._labels) < _MOST_LABELS:
                self._labels[label] = 0
        for label in self._labels:
            self.tell(self._topics.label(label), {"label": label, "count": here[label]}, status)
        zones: dict[str, int] = {}
        for name, rule in self._rules.items():
            numbers_of = dict(packet.counts.get(name, {}))
            self._tell_rule(rule, numbers_of, status)
            if rule.zone is not None and "now" in numbers_of:
                zones[rule.zone] = max(zones.get(rule.zone, 0), numbers_of["now"])
        facts: dict[str, Any] = {"total": here.total(), "labels": dict(here), "zones": zones}
        facts["rules"] = {name: dict(numbers) for name, numbers in packet.counts.items()}
        self.tell(self._topics("counts"), facts, status)

    def _tell_rule(self, rule: Rule, numbers: Mapping[str, int], status: Status) -> None:
        place = rule.zone or rule.line or ""
        facts: dict[str, Any] = {"rule": rule.name, "place": place, **numbers}
        if "now" in numbers:
            facts["occupied"] = "ON" if numbers["now"] else "OFF"
        self.tell(self._topics.rule(rule.name), facts, status)
