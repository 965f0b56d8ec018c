"""What rules look at: the objects of one frame, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgecam.types import Classification, Detections, Floats, Ints

_ANCHORS = {"bottom": (0.5, 1.0), "center": (0.5, 0.5), "top": (0.5, 0.0)}


@dataclass
class Objects:
    """
    Attributes:
        ids: who, int32 (N,); over 0.
        class_id: int32 (N,).
        score: float32 (N,).
        boxes: float64 (N, 4), x1 y1 x2 y2 in parts of the picture.
        aspect: width over height of the picture.
        tracked: they are objects; else the labels of a classification, and ``ids`` tell labels apart.
    """

    ids: Ints
    class_id: Ints
    score: Floats
    boxes: npt.NDArray[np.float64]
    aspect: float = 1.0
    tracked: bool = True

    def __post_init__(self) -> None:
        self._anchors: dict[str, npt.NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, result: Detections | Classification, size: tuple[int, int]) -> Objects:
        """The detections that have an id, or a classification's labels, each as large as the picture."""
        aspect = size[0] / size[1]
        if isinstance(result, Classification):
            boxes = np.tile(np.array([0.0, 0, 1, 1]), (len(result), 1))
            return cls(result.class_id + 1, result.class_id, result.score, boxes, aspect, tracked=False)
        ids = np.zeros(len(result), np.int32) if result.track_id is None else result.track_id
        known = ids > 0
        if not known.all():
            result, ids = result.take(known), ids[known]
        boxes = result.xyxy / np.array([*size, *size], np.float64)
        return cls(ids, result.class_id, result.score, boxes, aspect)

    def anchors(self, name: str) -> npt.NDArray[np.float64]:
        """The points that stand for the boxes, float64 (N, 2)."""
        if name not in self._anchors:
            x, y = _ANCHORS[name]
            self._anchors[name] = self.boxes[:, :2] * (1 - x, 1 - y) + self.boxes[:, 2:] * (x, y)
        return self._anchors[name]

    @cached_property
    def heights(self) -> npt.NDArray[np.float64]:
        out: npt.NDArray[np.float64] = self.boxes[:, 3] - self.boxes[:, 1]
        return out

    @cached_property
    def areas(self) -> npt.NDArray[np.float64]:
        """The parts of the picture that the boxes cover."""
        out: npt.NDArray[np.float64] = self.heights * (self.boxes[:, 2] - self.boxes[:, 0])
        return out

    @cached_property
    def values(self) -> list[float]:
        """Score times size: what a snapshot of each is worth."""
        out: list[float] = (self.areas * self.score).tolist()
        return out

    @cached_property
    def names(self) -> list[int]:
        """The ids as plain numbers."""
        out: list[int] = self.ids.tolist()
        return out
