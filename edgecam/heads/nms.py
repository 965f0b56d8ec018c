"""Non-maximum suppression: of boxes that overlap, the best stays.

Greedy suppression as in R-CNN (Girshick et al. 2014); the weighted form is BlazeFace's "blending" (Bazarevsky
et al. 2019, post-processing). Both loop over the boxes that stay, never over the candidates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgecam.types import Array, Floats

_Columns = tuple[Array, Array, Array, Array]


def nms(xyxy: Floats, score: Floats, class_id: Array | None, iou: float, limit: int) -> npt.NDArray[np.intp]:
    """The boxes that stay.

    Args:
        xyxy: float32 (N, 4), any unit.
        score: float32 (N,).
        class_id: (N,), boxes of different classes never suppress each other; None if there is one class.
        iou: a box is suppressed when its intersection over union with a better one is *more* than this.
        limit: most boxes to return.

    Returns:
        Indices, best first; of equal scores the earlier box is the better.
    """
    left = np.argsort(-score, kind="stable")
    x1, y1, x2, y2 = np.ascontiguousarray(xyxy.T)
    area = (x2 - x1) * (y2 - y1)
    kept: list[np.intp] = []
    while len(left) and len(kept) < limit:
        best, rest = left[0], left[1:]
        kept.append(best)
        inter = _intersection((x1, y1, x2, y2), best, rest)
        stays = inter <= iou * (area[best] + area[rest] - inter)
        if class_id is not None:
            stays |= class_id[rest] != class_id[best]
        left = rest[stays]
    return np.array(kept, np.intp)


def weighted_nms(values: Floats, score: Floats, iou: float, limit: int) -> tuple[Floats, Floats]:
    """Boxes of one class blended: each result is the mean of all boxes over one object, weighted by score.

    Steadier from frame to frame than a single winner.

    Args:
        values: float32 (N, 4 + M): xyxy, then what is blended along with it (keypoints).
        score: float32 (N,).
        iou: overlap with the best box from which a box belongs to its object.
        limit: most objects to return.

    Returns:
        Blended values (K, 4 + M) and the best score of each object (K,), best first.
    """
    left = np.argsort(-score, kind="stable")
    x1, y1, x2, y2 = np.ascontiguousarray(values[:, :4].T)
    area = (x2 - x1) * (y2 - y1)
    blended: list[Floats] = []
    best_scores: list[np.float32] = []
    while len(left) and len(blended) < limit:
        best = left[0]
        inter = _intersection((x1, y1, x2, y2), best, left)
        same = inter > iou * (area[best] + area[left] - inter)
        same[0] = True  # an empty box overlaps nothing, itself included
        members = left[same]
        weight = score[members]
        total = weight.sum()
        blended.append((weight / total) @ values[members] if total > 0 else values[best])
        best_scores.append(score[best])
        left = left[~same]
    if not blended:
        return values[:0], score[:0]
    return np.array(blended, np.float32), np.array(best_scores, np.float32)


def _intersection(columns: _Columns, one: Array, others: Array) -> Array:
    x1, y1, x2, y2 = columns
    width = np.minimum(x2[one], x2[others]) - np.maximum(x1[one], x1[others])
    height = np.minimum(y2[one], y2[others]) - np.maximum(y1[one], y1[others])
    overlap: Array = np.maximum(width, 0) * np.maximum(height, 0)
    return overlap
