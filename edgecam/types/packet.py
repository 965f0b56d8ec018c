"""What sinks get: a frame with its result and the state of the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgecam.events import Event
from edgecam.types.arrays import Image
from edgecam.types.frame import Frame
from edgecam.types.results import Classification, Detections, Result

#: What a run is at: before its first picture; recognising; the same, but something does not work as it was
#: asked to; without pictures from its camera, trying again; told to look at nothing; after its last. The same
#: words everywhere.
State = Literal["starting", "running", "degraded", "waiting", "paused", "ended"]


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits for somebody who is away.

    Attributes:
        waiting: entries.
        size: their bytes.
        dropped: entries that the bounds of the queue have cost since the start.
        delivered: entries that have arrived since the start.
    """

    waiting: int = 0
    size: int = 0
    dropped: int = 0
    delivered: int = 0


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink is.

    Attributes:
        name: what to show, without credentials; begins with its kind, as ``mqtt:``.
        dropped: packets that it could not take.
        well: it works.
        queue: what waits in it, for a sink with a queue of its own.
    """

    name: str
    dropped: int = 0
    well: bool = True
    queue: QueueState | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a run at one moment, as shown in the status line, on the page and to systemd."""

    state: State = "starting"
    message: str = ""
    source: str = ""
    model: str = ""
    device: str = ""
    runtime: str = ""
    camera_fps: float = 0.0
    inference_fps: float = 0.0
    inference_ms: float = 0.0
    age_ms: float = 0.0
    frames: int = 0
    dropped: int = 0
    broken: int = 0
    lost: int = 0
    temperature: float | None = None  # degrees Celsius, None without a sensor or a governor
    steps_down: int = 0  # that the governor has taken
    model_version: str = ""  # as its contract says, "" where it says nothing
    model_sha256: str = ""  # of the model's file, in hexadecimal
    still: int = 0  # frames among these on which nothing had moved: an earlier result stands for them
    sinks: tuple[SinkState, ...] = ()

    @property
    def words(self) -> str:
        """The state for people, with its reason: ``waiting for camera (/dev/video0 was unplugged)``."""
        state = "waiting for camera" if self.state == "waiting" else self.state
        return f"{state} ({self.message})" if self.message else state

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            out[name] = round(value, 2) if isinstance(value, float) else value
        out["sinks"] = [asdict(sink) for sink in self.sinks]
        return out


class Packet:
    """One frame with its result, handed to every sink. ``result`` is None on a placard.

    ``events`` are the steps of events that this frame caused (a placard's too), ``counts`` how often and how
    many by rule, both empty without rules. A packet whose ``status.state`` is ``ended`` shows the last frame
    again and is there for its events alone. ``fresh`` is False where nothing had moved, and the result is
    that of an earlier frame.

    ``picture()`` draws the overlay at most once, however many sinks ask, and not at all if none does.
    """

    __slots__ = (
        "_lock",
        "_picture",
        "_render",
        "counts",
        "events",
        "frame",
        "fresh",
        "labels",
        "result",
        "status",
    )

    def __init__(
        self,
        frame: Frame,
        result: Result | None,
        labels: Sequence[str],
        status: Status,
        render: Callable[[Packet], Image] | None = None,
        *,
        events: Sequence[Event] = (),
        counts: Mapping[str, Mapping[str, int]] | None = None,
        fresh: bool = True,
    ) -> None:
        self.frame = frame
        self.fresh = fresh
        self.events = tuple(events)
        self.counts = counts or {}
        self.result = result
        self.labels = labels
        self.status = status
        self._render = render
        self._picture: Image | None = None
        self._lock = threading.Lock()

    def label(self, class_id: int) -> str:
        """The label of a class, or ``#7`` where the model names none."""
        if 0 <= class_id < len(self.labels) and self.labels[class_id]:
            return self.labels[class_id]
        return f"#{class_id}"

    def picture(self) -> Image:
        """The annotated picture, RGB uint8 (H, W, 3). Thread-safe; never write into it."""
        with self._lock:
            if self._picture is None:
                if self._render is None:
                    return self.frame.image
                self._picture = self._render(self)
                self.frame.times.drawn = time.monotonic()
            return self._picture

    def record(self) -> dict[str, Any]:
        """The packet as plain values, one schema for JSON lines, the page's events and ``edgecam image``.

        Boxes are ``[x1, y1, x2, y2]`` in frame pixels; times are milliseconds since capture.
        """
        frame, times = self.frame, self.frame.times
        marks = ("taken", "preprocessed", "inferred", "decoded")
        ms = {
            name: round((getattr(times, name) - times.captured) * 1000, 2)
            for name in marks
            if getattr(times, name)
        }
        out: dict[str, Any] = {
            "seq": frame.seq,
            "time": round(frame.wall, 4),
            "media_time": None if frame.media_time is None else round(frame.media_time, 4),
            "source": frame.source,
            "name": frame.name,
            "size": [frame.width, frame.height],
            "state": self.status.state,
            "ms": ms,
        }
        if not self.fresh:
            out["repeated"] = True
        if isinstance(self.result, Detections):
            out["detections"] = self._detections(self.result)
        elif isinstance(self.result, Classification):
            out["classes"] = [
                {"label": self.label(int(c)), "class_id": int(c), "score": round(float(s), 4)}
                for s, c in zip(self.result.score, self.result.class_id, strict=True)
            ]
        if self.counts:
            out["counts"] = {rule: dict(numbers) for rule, numbers in self.counts.items()}
        return out

    def _detections(self, result: Detections) -> list[dict[str, Any]]:
        rows = []
        for i in range(len(result)):
            class_id = int(result.class_id[i])
            row: dict[str, Any] = {
                "label": self.label(class_id),
                "class_id": class_id,
                "score": round(float(result.score[i]), 4),
                "box": [round(float(v), 1) for v in result.xyxy[i]],
            }
            if result.keypoints is not None:
                row["keypoints"] = [[round(float(v), 1) for v in p] for p in result.keypoints[i]]
            if result.track_id is not None:
                row["track_id"] = int(result.track_id[i])
            rows.append(row)
        return rows
