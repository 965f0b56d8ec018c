"""What a model finds in a frame, and how the frame was laid into the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from edgecam.types.arrays import Array, Floats, Ints, expect


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
        expect("xyxy", self.xyxy, np.float32, (n, 4))
        expect("score", self.score, np.float32, (n,))
        expect("class_id", self.class_id, np.int32, (n,))
        if self.keypoints is not None:
            expect("keypoints", self.keypoints, np.float32, (n, None, 2))
        if self.track_id is not None:
            expect("track_id", self.track_id, np.int32, (n,))

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
        expect("score", self.score, np.float32, (n,))
        expect("class_id", self.class_id, np.int32, (n,))

    def __len__(self) -> int:
        return len(self.score)


Result: TypeAlias = Detections | Classification
