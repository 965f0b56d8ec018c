"""Average precision of a detector, as the COCO evaluation defines it.

Per class and overlap threshold: detections of all pictures, best first, are matched greedily to the truth of
their own picture (each truth once; a detection takes the free truth it overlaps most); precision is made
monotone from the right and averaged at 101 recalls. The mean runs over classes that occur in the truth.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and the reference implementation
``pycocotools/cocoeval.py``. Crowd regions and area ranges are left out: the truth here has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecam.types import Array, Detections, Floats, Ints

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Truth:
    """What one picture shows.

    Attributes:
        xyxy: float32 (N, 4), pixels, as in :class:`edgecam.types.Detections`.
        class_id: int32 (N,).
    """

    xyxy: Floats
    class_id: Ints


def overlaps(a: Array, b: Array) -> Floats:
    """Intersection over union of xyxy boxes (N, 4) and (M, 4), float32 (N, M); 0 for empty boxes."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0, None)
    shared = sides.prod(2)
    areas = [np.clip(box[:, 2:] - box[:, :2], 0, None).prod(1) for box in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.asarray(ratio, np.float32)


def match(found: Floats, truth: Floats, threshold: float) -> Array:
    """Which boxes of one class in one picture are right, bool (N,).

    Args:
        found: xyxy (N, 4), best first.
        truth: xyxy (M, 4).
        threshold: least overlap.
    """
    overlap = overlaps(found, truth)
    right = np.zeros(len(found), bool)
    for row in range(len(found)):
        best = int(overlap[row].argmax()) if overlap.shape[1] else 0
        if overlap.shape[1] and overlap[row, best] >= threshold:
            right[row] = True
            overlap[:, best] = -1  # taken
    return right


def interpolated(right: Array, count: int) -> float:
    """101-point average precision.

    Args:
        right: bool (N,), the detections of one class in all pictures, best first.
        count: number of true objects, at least 1.
    """
    hits = np.cumsum(right)
    recall = hits / count
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(index, len(right))].mean())


def per_class(
    found: Sequence[Detections], truth: Sequence[Truth], threshold: float = 0.5
) -> dict[int, float]:
    """Average precision of each class that occurs in the truth.

    Args:
        found: one entry a picture. Give all detections down to a low score: a threshold cuts the curve.
        truth: the same pictures.
        threshold: least overlap of a match.

    Raises:
        ValueError: not as many results as truths.
    """
    if len(found) != len(truth):
        raise ValueError(f"{len(found)} results for {len(truth)} pictures")
    classes = sorted({int(class_id) for picture in truth for class_id in picture.class_id})
    return {class_id: _one_class(found, truth, class_id, threshold) for class_id in classes}


def _one_class(found: Sequence[Detections], truth: Sequence[Truth], class_id: int, threshold: float) -> float:
    scores, right, count = [], [], 0
    for have, want in zip(found, truth, strict=True):
        mine = have.class_id == class_id
        order = np.argsort(-have.score[mine], kind="stable")
        wanted = want.xyxy[want.class_id == class_id]
        count += len(wanted)
        scores.append(have.score[mine][order])
        right.append(match(have.xyxy[mine][order], wanted, threshold))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return interpolated(np.concatenate(right)[order], count)


def mean(found: Sequence[Detections], truth: Sequence[Truth], thresholds: Sequence[float] = (0.5,)) -> float:
    """Mean average precision over classes and overlap thresholds; 0.0 if the truth is empty.

    ``thresholds`` (0.5,) gives AP50, :data:`COCO_THRESHOLDS` gives COCO's AP.
    """
    values = [value for t in thresholds for value in per_class(found, truth, t).values()]
    return float(np.mean(values)) if values else 0.0
