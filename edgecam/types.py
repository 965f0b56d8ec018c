"""What flows through edgecam: frames in, results out.

Times are ``time.monotonic()`` seconds unless a name says otherwise. Pictures are RGB uint8 (H, W, 3).
Boxes are xyxy float32 (N, 4) in pixels of the frame. Results are columns and are validated when made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecam.events import Event

Image: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int32]
Array: TypeAlias = npt.NDArray[Any]

#: What a run is at: before its first picture; recognising; the same, but something does not work as it was
#: asked to; without pictures from its camera, trying again; after its last. The same words everywhere.
State = Literal["starting", "running", "degraded", "waiting", "ended"]


@dataclass(slots=True)
class Times:
    """When a frame passed each stage; monotonic seconds, 0.0 where it has not been yet."""

    captured: float = 0.0
    taken: float = 0.0
    preprocessed: float = 0.0
    inferred: float = 0.0
    decoded: float = 0.0
    drawn: float = 0.0
    sent: float = 0.0


class Frame:
    """One picture from a source, its JPEG bytes if the camera gave them, and its times.

    A frame is made from pixels or from JPEG bytes. JPEG is decoded when (and only when) somebody asks
    for pixels, so a frame that is dropped costs nothing.

    Args:
        seq: number of the frame in its source, from 0, counted before drops.
        image: RGB uint8 (H, W, 3), or None when ``jpeg`` is given.
        jpeg: the camera's own JPEG bytes, or None.
        size: (width, height); needed with ``jpeg`` only.
        decode: ``(jpeg, min_width, min_height) -> image``; needed with ``jpeg`` only.
        source: what to show as its origin (no credentials).
        captured: monotonic seconds; now if None.
        media_time: position in the file in seconds, None for live sources.
        name: file name for picture files, else "".

    Attributes:
        encoded: the whole picture as JPEG bytes once somebody encoded it (:func:`edgecam.jpeg.of`), or None.
    """

    __slots__ = (
        "_decode",
        "_image",
        "_lock",
        "_make",
        "encoded",
        "height",
        "jpeg",
        "media_time",
        "name",
        "seq",
        "source",
        "times",
        "wall",
        "width",
    )

    def __init__(
        self,
        seq: int,
        image: Image | None = None,
        *,
        jpeg: bytes | None = None,
        size: tuple[int, int] | None = None,
        decode: Callable[[bytes, int, int], Image] | None = None,
        source: str = "",
        captured: float | None = None,
        media_time: float | None = None,
        name: str = "",
    ) -> None:
        if image is not None:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(f"frame must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
            self.height, self.width = image.shape[:2]
        elif jpeg is not None and size is not None and decode is not None:
            self.width, self.height = size
        else:
            raise ValueError("a frame needs pixels, or JPEG bytes with their size and a decoder")
        now = time.monotonic()
        self.seq = seq
        self.jpeg = jpeg
        self.source = source
        self.media_time = media_time
        self.name = name
        self.times = Times(captured=now if captured is None else captured)
        self.wall = time.time() - (now - self.times.captured)
        self.encoded: bytes | None = None
        self._image = image
        self._decode = decode
        self._make: Callable[[], Image] | None = None
        self._lock = threading.Lock()

    def derived(self, make: Callable[[], Image]) -> Frame:
        """The same moment with other pixels: ``make()``, called at most once and only if somebody asks.

        The new frame has this one's times (the same object) and size, and no JPEG bytes.
        """
        new = Frame.__new__(Frame)
        for name in ("seq", "source", "media_time", "name", "times", "wall", "width", "height"):
            setattr(new, name, getattr(self, name))
        new.jpeg = new.encoded = new._image = new._decode = None
        new._make = make
        new._lock = threading.Lock()
        return new

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def moment(self) -> float:
        """Its place in time by a clock that nobody sets, in seconds: in the file, else monotonic."""
        return self.times.captured if self.media_time is None else self.media_time

    @property
    def image(self) -> Image:
        """All pixels, RGB uint8 (H, W, 3); decoded once. Never write into it.

        Raises:
            FrameError: the JPEG is broken.
        """
        with self._lock:
            if self._image is None and self._make is not None:
                self._image = self._make()
                self._make = None  # lets go of the frame that it was made from
            elif self._image is None:
                assert self._decode is not None and self.jpeg is not None
                self._image = self._decode(self.jpeg, 0, 0)
            return self._image

    def pixels(self, min_width: int, min_height: int) -> Image:
        """Pixels for the whole view, possibly reduced, never under the size asked for (or the frame's own).

        Cheaper than :attr:`image` for a large JPEG and a small model input. Same errors.
        """
        if self._image is not None or self.jpeg is None:
            return self.image
        assert self._decode is not None
        return self._decode(self.jpeg, min(min_width, self.width), min(min_height, self.height))


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a frame was laid into the model's input: ``input = frame * scale + pad``.

    Attributes:
        frame: (width, height) of the frame in pixels.
        input: (width, height) of the model's input in pixels.
        scale: (x, y) factors from frame to input pixels.
        pad: (x, y) offset in input pixels; negative where the frame was cropped.
    """

    frame: tuple[int, int]
    input: tuple[int, int]
    scale: tuple[float, float]
    pad: tuple[float, float]

    def to_frame(self, xyxy: Array) -> Floats:
        """Boxes (N, 4) or points (..., 2) in input pixels to frame pixels, clipped to the frame."""
        pairs = np.asarray(xyxy, np.float32).reshape(*xyxy.shape[:-1], xyxy.shape[-1] // 2, 2)
        out = (pairs - np.asarray(self.pad, np.float32)) / np.asarray(self.scale, np.float32)
        clipped: Floats = np.clip(out, 0, np.asarray(self.frame, np.float32))
        return clipped.reshape(xyxy.shape)

    def to_input(self, xyxy: Array) -> Floats:
        """Boxes (N, 4) or points (..., 2) in frame pixels to input pixels, not clipped."""
        pairs = np.asarray(xyxy, np.float32).reshape(*xyxy.shape[:-1], xyxy.shape[-1] // 2, 2)
        out = pairs * np.asarray(self.scale, np.float32) + np.asarray(self.pad, np.float32)
        return out.reshape(xyxy.shape)


def _expect(name: str, value: Array, dtype: type, shape: tuple[int | None, ...]) -> None:
    matches = value.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if value.dtype != dtype or not matches:
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must be {np.dtype(dtype).name} ({wanted}), got {value.dtype} {value.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects found in one frame, best first.

    Attributes:
        xyxy: float32 (N, 4), x1 y1 x2 y2 in frame pixels.
        score: float32 (N,), 0 to 1.
        class_id: int32 (N,), index into the model's labels.
        keypoints: float32 (N, K, 2), x y in frame pixels, or None.
        track_id: int32 (N,), the object's number over frames, from 1; 0 where it has none yet. None where
            nothing is tracked.
    """

    xyxy: Floats
    score: Floats
    class_id: Ints
    keypoints: Floats | None = None
    track_id: Ints | None = None

    def __post_init__(self) -> None:
        n = len(self.score)
        _expect("xyxy", self.xyxy, np.float32, (n, 4))
        _expect("score", self.score, np.float32, (n,))
        _expect("class_id", self.class_id, np.int32, (n,))
        if self.keypoints is not None:
            _expect("keypoints", self.keypoints, np.float32, (n, None, 2))
        if self.track_id is not None:
            _expect("track_id", self.track_id, np.int32, (n,))

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def empty(cls) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    def take(self, index: Array) -> Detections:
        """The rows named by an index array or a boolean mask."""
        points = None if self.keypoints is None else self.keypoints[index]
        ids = None if self.track_id is None else self.track_id[index]
        return Detections(self.xyxy[index], self.score[index], self.class_id[index], points, ids)


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What one frame shows, best first.

    Attributes:
        score: float32 (K,), 0 to 1, falling.
        class_id: int32 (K,), index into the model's labels.
    """

    score: Floats
    class_id: Ints

    def __post_init__(self) -> None:
        n = len(self.score)
        _expect("score", self.score, np.float32, (n,))
        _expect("class_id", self.class_id, np.int32, (n,))

    def __len__(self) -> int:
        return len(self.score)


Result: TypeAlias = Detections | Classification


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
        return out


class Packet:
    """One frame with its result, handed to every sink. ``result`` is None on a placard.

    ``events`` are the steps of events that this frame caused (a placard's too), ``counts`` how often and how
    many by rule, both empty without rules. A packet whose ``status.state`` is ``ended`` shows the last frame
    again and is there for its events alone.

    ``picture()`` draws the overlay at most once, however many sinks ask, and not at all if none does.
    """

    __slots__ = ("_lock", "_picture", "_render", "counts", "events", "frame", "labels", "result", "status")

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
    ) -> None:
        self.frame = frame
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


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model, as the interpreter reports it.

    Attributes:
        name: the tensor's name.
        shape: its shape, batch included.
        dtype: numpy dtype.
        scale: quantisation scale, 0.0 where the tensor is not quantised.
        zero_point: quantisation zero point.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    def with_shape(self, shape: Sequence[int]) -> TensorInfo:
        return replace(self, shape=tuple(int(n) for n in shape))


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What the user may ask of any head; None means the model's own value.

    Attributes:
        weak: part of the threshold from which on results are reported: a tracker makes use of weaker ones
            than are shown.
    """

    threshold: float | None = None
    top_k: int | None = None
    iou: float | None = None
    classes: tuple[str, ...] = field(default=())
    weak: float = 1.0
