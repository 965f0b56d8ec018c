"""Two models on the same pictures: the float twin and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from converters import average_precision, metrics
from converters.judging.answers import Answers, Truths
from converters.judging.figures import Accuracy
from edgecam.types import Detections


@dataclass(frozen=True)
class ClassChange:
    """One class before and after.

    Attributes:
        name: its label.
        shown: pictures or objects of it.
        lost: how many of them fewer are found afterwards; negative where it became better.
    """

    name: str
    shown: int
    lost: int

    @property
    def points(self) -> float:
        """Points of recall lost; 0.0 where none is shown."""
        return 100 * self.lost / self.shown if self.shown else 0.0


@dataclass(frozen=True)
class Comparison:
    """What a variant costs against its float twin.

    Attributes:
        pictures: how many both saw.
        points: points lost of each headline figure (``top-1``, or ``AP50`` and ``AP``).
        agreement: classifier: fraction of pictures with the same answer; detector: twice the detections
            that both report (same class, overlap of 0.5) over the detections of both.
        worse, better: pictures that only the float twin, only the variant, gets right (classifiers).
        chance: how likely so uneven a difference is if both are equally good, see
            :func:`converters.metrics.sign_test`; None for detectors.
        classes: one entry a class of the data.
    """

    pictures: int
    points: Mapping[str, float]
    agreement: float
    worse: int
    better: int
    chance: float | None
    classes: tuple[ClassChange, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """What :meth:`as_dict` gave, also after a way through JSON."""
        return cls(**{**values, "classes": tuple(ClassChange(**entry) for entry in values["classes"])})


def compare(
    base: Accuracy, other: Accuracy, base_answers: Answers, other_answers: Answers, truth: Truths
) -> Comparison:
    """A variant against its float twin.

    Args:
        base, other: what was made of the answers.
        base_answers, other_answers: of the same pictures.
        truth: of these pictures.
    """
    changes = tuple(
        ClassChange(a.name, a.shown, a.found - b.found)
        for a, b in zip(base.classes, other.classes, strict=True)
    )
    if base.task == "detect":
        points = {
            "AP50": 100 * ((base.ap50 or 0.0) - (other.ap50 or 0.0)),
            "AP": 100 * ((base.ap or 0.0) - (other.ap or 0.0)),
        }
        same = _common(base_answers.reported, other_answers.reported)
        return Comparison(len(truth.paths), points, same, 0, 0, None, changes)
    before, after = base_answers.scores, other_answers.scores
    right_before = metrics.ranks(before, truth.class_id) == 0
    right_after = metrics.ranks(after, truth.class_id) == 0
    worse = int((right_before & ~right_after).sum())
    better = int((right_after & ~right_before).sum())
    count = len(truth.paths)
    return Comparison(
        pictures=count,
        points={"top-1": 100 * (worse - better) / count if count else 0.0},
        agreement=metrics.agreement(before.argmax(1), after.argmax(1)) if count else 1.0,
        worse=worse,
        better=better,
        chance=metrics.sign_test(worse, better),
        classes=changes,
    )


def _common(a: list[Detections], b: list[Detections]) -> float:
    """Fraction of the detections of both that the other reports too; 1.0 where neither reports any."""
    both, total = 0, 0
    for first, second in zip(a, b, strict=True):
        total += len(first) + len(second)
        for class_id in np.intersect1d(first.class_id, second.class_id):
            mine, other = (d.xyxy[d.class_id == class_id] for d in (first, second))
            both += 2 * int(average_precision.match(mine, other, 0.5).sum())
    return both / total if total else 1.0
