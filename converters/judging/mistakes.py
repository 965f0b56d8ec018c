"""The pictures a model gets most wrong: what people look at first."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters import average_precision
from converters.judging.answers import Answers, Truths
from edgecam.types import Array, Detections

MOST = 24
OVERLAP = 0.5


def of_classifier(base: Answers, other: Answers, truth: Truths, most: int = MOST) -> list[dict[str, Any]]:
    """Wrong pictures of a variant: first those its float twin gets right, then by confidence in the error.

    Returns:
        ``path``, ``truth``, ``said`` and ``base_said`` (class ids; ids from the number of names up are labels
        outside the data), ``score`` and ``base_score`` (of what was said), ``right_score`` (that the variant
        gives the right class), ``lost`` (the float twin is right).
    """
    before, after = base.scores, other.scores
    said, base_said = after.argmax(1), before.argmax(1)
    wrong = np.flatnonzero(said != truth.class_id)
    lost = base_said == truth.class_id
    order = sorted(wrong, key=lambda n: (not lost[n], -after[n, said[n]]))
    return [
        {
            "path": truth.paths[n],
            "truth": int(truth.class_id[n]),
            "said": int(said[n]),
            "score": _rounded(after[n, said[n]]),
            "right_score": _rounded(after[n, truth.class_id[n]]),
            "base_said": int(base_said[n]),
            "base_score": _rounded(before[n, base_said[n]]),
            "lost": bool(lost[n]),
        }
        for n in order[:most]
    ]


def of_detector(other: Answers, truth: Truths, most: int = MOST) -> list[dict[str, Any]]:
    """Pictures with the most missed objects and false alarms, at the model's own threshold.

    Returns:
        ``path``, ``missed`` (class id, box), ``false`` and ``right`` (class id, score, box); boxes are
        x1 y1 x2 y2 in pixels of the picture.
    """
    rows = []
    for path, have, want in zip(truth.paths, other.reported, truth.boxes, strict=True):
        right, found = _matched(have, want.xyxy, want.class_id)
        entry = {
            "path": path,
            "missed": [
                [int(c), *_box(box)]
                for c, box, hit in zip(want.class_id, want.xyxy, found, strict=True)
                if not hit
            ],
            "false": _detections(have, ~right),
            "right": _detections(have, right),
        }
        if entry["missed"] or entry["false"]:
            rows.append(entry)
    return sorted(rows, key=lambda row: -len(row["missed"]) - len(row["false"]))[:most]


def _matched(have: Detections, boxes: Array, class_id: Array) -> tuple[Array, Array]:
    """Which detections are right, and which objects are found."""
    right, found = np.zeros(len(have), bool), np.zeros(len(boxes), bool)
    for c in np.intersect1d(have.class_id, class_id):
        mine, theirs = np.flatnonzero(have.class_id == c), np.flatnonzero(class_id == c)
        overlap = average_precision.overlaps(have.xyxy[mine], boxes[theirs])
        for row, number in enumerate(mine):
            best = int(overlap[row].argmax())
            if overlap[row, best] >= OVERLAP:
                right[number] = found[theirs[best]] = True
                overlap[:, best] = -1
    return right, found


def _detections(have: Detections, kept: Array) -> list[list[float]]:
    rows = have.take(kept)
    return [
        [int(c), _rounded(s), *_box(box)]
        for c, s, box in zip(rows.class_id, rows.score, rows.xyxy, strict=True)
    ]


def _box(box: Array) -> list[float]:
    return [round(float(value), 1) for value in box]


def _rounded(value: float) -> float:
    return round(float(value), 4)
