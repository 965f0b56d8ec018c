"""What every message to others begins with, and how it becomes JSON: by MQTT, webhook and program alike."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from edgecam import identity
from edgecam.events import Event
from edgecam.types import Status

SCHEMA = 1


def encode(record: Mapping[str, Any]) -> bytes:
    """A record as one line of JSON, UTF-8. Numbers that JSON has not (NaN) become null."""
    return json.dumps(_finite(record), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def model_of(status: Status) -> dict[str, str]:
    """Which model a message speaks of."""
    return {"name": status.model, "version": status.model_version, "sha256": status.model_sha256}


def envelope(device: str, status: Status) -> dict[str, Any]:
    """Who speaks, when, and by which model. ``time`` is the wall clock, for people: ``n`` tells the order."""
    return {
        "schema": SCHEMA,
        "device": device,
        "boot": identity.BOOT,
        "time": round(time.time(), 3),
        "model": model_of(status),
    }


class Numbered:
    """Makes the messages of a run's events: ``n`` counts them from 1, and with ``boot`` names each."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._number = 0

    def named(self, event: Event, status: Status) -> tuple[str, bytes]:
        """A name that no other message has, and the message."""
        body = self(event, status)
        return f"{identity.BOOT}-{self._number}", body

    def __call__(self, event: Event, status: Status) -> bytes:
        self._number += 1
        return encode(envelope(self._device, status) | event.record() | {"n": self._number})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
