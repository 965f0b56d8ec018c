"""The devices of a fleet, as their retained topics tell them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecam.fleet.wire import Job, Tree

QUIET = 1.0  # seconds without news after which all retained messages are here
_TOLD = {"birth", "health", "state", "fleet/slots"}


@dataclass
class Device:
    """What is known of a device.

    Attributes:
        online: it says so, or its last will does not say otherwise.
        facts: the newest message by topic (``birth``, ``health``, ``state``, ``fleet/slots``).
        job: the newest.
    """

    id: str
    online: bool = False
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    job: Job | None = None

    def fact(self, topic: str, name: str) -> Any:
        """A value that it told, None if it did not."""
        return self.facts.get(topic, {}).get(name)

    @property
    def state(self) -> str:
        return str(self.fact("state", "state") or "") if self.online else "offline"

    @property
    def model(self) -> str:
        model = self.fact("birth", "model")
        model = model if isinstance(model, dict) else {}
        return f"{model.get('name', '')} {model.get('version', '')}".strip()

    @property
    def slot(self) -> str:
        return str(self.fact("fleet/slots", "name") or "")

    @property
    def active(self) -> str | None:
        """SHA-256 of its slot in use, "" for the model of its settings; None if it takes no commands."""
        found = self.fact("fleet/slots", "active")
        return found if isinstance(found, str) else None


class Roster:
    """Hears of devices. Any thread may ask."""

    def __init__(self, tree: Tree) -> None:
        self.changed = threading.Condition()
        self._tree = tree
        self._devices: dict[str, Device] = {}
        self._heard_at = time.monotonic()

    @property
    def topics(self) -> list[str]:
        """What to subscribe to."""
        return [self._tree.device("+", *what.split("/")) for what in ("online", "fleet/job", *sorted(_TOLD))]

    def hear(self, topic: str, body: bytes) -> None:
        name, what = self._tree.split(topic)
        if not name:
            return
        with self.changed:
            self._heard_at = time.monotonic()
            device = self._devices.setdefault(name, Device(name))
            if what == "online":
                device.online = body == b"online"
            elif what == "fleet/job":
                device.job = Job.decode(body)
            elif what in _TOLD:
                try:
                    facts = json.loads(body)
                except (ValueError, RecursionError):
                    facts = None
                device.facts[what] = facts if isinstance(facts, dict) else {}
            self.changed.notify_all()

    def devices(self) -> list[Device]:
        """All that have been heard of, by id."""
        with self.changed:
            return [self._devices[name] for name in sorted(self._devices)]

    def get(self, name: str) -> Device:
        with self.changed:
            return self._devices.get(name) or Device(name)

    def settle(self, limit: float = 15.0) -> None:
        """Wait until nothing new has come for a moment."""
        end = time.monotonic() + limit
        while time.monotonic() < min(end, self._heard_at + QUIET):
            time.sleep(0.05)

    def wait(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait for something to be heard; False if it is not."""
        with self.changed:
            return self.changed.wait_for(true, seconds)
