"""What the tests of the sinks share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from edgecam.sinks.base import SinkContext
from edgecam.types import Detections, Frame, Image, Packet, State, Status

PATIENCE = 20.0  # seconds to wait for an event; only a failing test waits that long


@dataclass
class Listener:
    """Hears what a sink tells and asks."""

    reports: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    reported: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def report(self, line: str) -> None:
        self.reports.append(line)
        self.reported.set()

    def stop(self, reason: str) -> None:
        self.reasons.append(reason)
        self.stopped.set()

    def context(self, live: bool = True) -> SinkContext:
        return SinkContext(live, "synthetic:", "fake", ("person", "dog"), self.report, self.stop)


def picture(width: int = 64, height: int = 48, value: int = 90) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def packet(
    seq: int = 0,
    image: Image | None = None,
    *,
    captured: float | None = None,
    media_time: float | None = None,
    state: State = "running",
    message: str = "",
    name: str = "",
) -> Packet:
    """A packet with one detection; with another state than live, a placard."""
    image = picture() if image is None else image
    frame = Frame(seq, image, source="synthetic:", captured=captured, media_time=media_time, name=name)
    found = Detections(
        np.array([[4, 5, 20, 30]], np.float32), np.array([0.75], np.float32), np.array([0], np.int32)
    )
    status = Status(state, message)
    return Packet(frame, found if state == "running" else None, ["person", "dog"], status)
