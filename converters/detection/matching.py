"""Which anchor stands for which box, and what it shall say: the training's half of the SSD box coder.

Boxes are xyxy relative to the input, float (M, 4); anchors are those of
:func:`edgecam.heads.anchors.make_anchors`, float32 (N, 4) as centre y, centre x, height, width. What is
encoded here is decoded by :class:`edgecam.heads.ssd.SsdAnchorsHead`.
"""

from __future__ import annotations

import numpy as np

from converters.average_precision import overlaps
from edgecam.types import Array, Floats, Ints

POSITIVE = 0.5  # overlap from which an anchor stands for a box
NEGATIVE = 0.4  # overlap below which it stands for the background; between the two it learns nothing
BACKGROUND, IGNORED = -1, -2
SCALES = (10.0, 10.0, 5.0, 5.0)  # y, x, height, width: the variances of SSD, 0.1 and 0.2
_LEAST = 1e-6


def corners(anchors: Floats) -> Floats:
    """Anchors as xyxy boxes."""
    half = anchors[:, 2:] / 2
    yxyx = np.concatenate([anchors[:, :2] - half, anchors[:, :2] + half], axis=1)
    return np.asarray(yxyx[:, [1, 0, 3, 2]], np.float32)


def match(anchors: Floats, boxes: Floats) -> Ints:
    """The box that each anchor stands for.

    An anchor stands for the box that it overlaps most, from an overlap of 0.5 on; and each box has the anchor
    that overlaps it most, however little, so that no box goes unseen (Liu et al., "SSD", 2016). Where two
    boxes want the same anchor, the larger overlap has it and the other box takes its next best. Anchors
    between the thresholds are left out of the loss (Lin et al., "Focal Loss", 2017).

    Returns:
        int32 (N,): row of ``boxes``, :data:`BACKGROUND` or :data:`IGNORED`.
    """
    if not len(boxes):
        return np.full(len(anchors), BACKGROUND, np.int32)
    overlap = overlaps(corners(anchors), boxes)
    best, most = overlap.argmax(1), overlap.max(1)
    found = np.where(most >= POSITIVE, best, np.where(most >= NEGATIVE, IGNORED, BACKGROUND)).astype(np.int32)
    free = overlap.copy()
    for _ in range(min(len(boxes), len(anchors))):
        anchor, box = np.unravel_index(int(free.argmax()), free.shape)
        if free[anchor, box] <= 0:
            break
        found[anchor] = box
        free[anchor], free[:, box] = -1, -1
    return found


def encode(boxes: Floats, anchors: Floats) -> Floats:
    """Box codes (K, 4), ty tx th tw times :data:`SCALES`, of boxes (K, 4) against an anchor each."""
    centre = (boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 2
    size = np.maximum(boxes[:, [3, 2]] - boxes[:, [1, 0]], _LEAST)
    offset = (centre - anchors[:, :2]) / anchors[:, 2:]
    codes = np.concatenate([offset, np.log(size / anchors[:, 2:])], axis=1) * SCALES
    return np.asarray(codes, np.float32)


def targets(anchors: Floats, boxes: Floats, class_id: Array, classes: int) -> Floats:
    """What the anchors of one picture shall say.

    Returns:
        float32 (N, 5 + classes): box codes; 1 for an anchor that stands for a box, 0 for the background, -1
        for one that is left out; a 1 at the box's class.
    """
    found = match(anchors, boxes)
    out = np.zeros((len(anchors), 5 + classes), np.float32)
    out[found == IGNORED, 4] = -1
    right = np.flatnonzero(found >= 0)
    rows = found[right]
    out[right, :4] = encode(boxes[rows], anchors[right])
    out[right, 4] = 1
    out[right, 5 + class_id[rows]] = 1
    return out
