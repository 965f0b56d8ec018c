"""What is known of one model after it has been judged; plain values that go into JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from converters import average_precision, metrics
from converters.average_precision import Truth
from edgecam.types import Array, Detections, Floats

OTHER = "something else"


@dataclass(frozen=True)
class ClassFigures:
    """One class of the data.

    Attributes:
        name: its label.
        shown: pictures (of a classifier) or objects (of a detector) of it in the test set.
        found: how many of them were recognised.
        named: how often the model named it, rightly or wrongly.
        ap50: average precision at an overlap of 0.5; None for a classifier, or where none is shown.
    """

    name: str
    shown: int
    found: int
    named: int
    ap50: float | None = None

    @property
    def recall(self) -> float | None:
        """Fraction of the shown that was found, None where none is shown."""
        return self.found / self.shown if self.shown else None

    @property
    def precision(self) -> float | None:
        """Fraction of the named that was right, None where it was never named."""
        return self.found / self.named if self.named else None


@dataclass(frozen=True)
class Accuracy:
    """How good the answers are. Fractions of 1; None for what the task does not have.

    Attributes:
        task: ``classify`` or ``detect``.
        pictures: how many were tried.
        classes: one entry a class of the data.
        top1, top5: of a classifier (top5 only from six classes up).
        ece: expected calibration error, see :func:`converters.metrics.calibration_error`.
        confusion: rows are the truth, columns the answer, a last column for labels outside the data.
        reliability: (pictures, mean confidence, accuracy) in ten bins of confidence.
        ap50, ap: of a detector: mean average precision at an overlap of 0.5, and over 0.5 to 0.95 (COCO's).
        false_alarms: detections a picture that are no object, at the model's own threshold.
    """

    task: str
    pictures: int
    classes: tuple[ClassFigures, ...]
    top1: float | None = None
    top5: float | None = None
    ece: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[int, float | None, float | None], ...] = ()
    ap50: float | None = None
    ap: float | None = None
    false_alarms: float | None = None

    @property
    def headline(self) -> float:
        """The figure that the gate goes by: top-1 or AP50."""
        return (self.top1 if self.task == "classify" else self.ap50) or 0.0

    @property
    def headline_name(self) -> str:
        """Its name, for people."""
        return "top-1" if self.task == "classify" else "AP50"


@dataclass(frozen=True)
class Figures:
    """One judged model file.

    Attributes:
        name: of the variant.
        sha256: of the file.
        bytes: its size.
        compressed: its size after zlib: what a download costs.
        macs: multiply-accumulates of one picture.
        parameters: weights and biases.
        accuracy: how good its answers are.
        invoke_ms: median time of the network on one picture, nothing else running.
        total_ms: with preprocessing and decoding.
        p95_ms: the same, 95th percentile.
        threads: CPU threads it ran with, as the runtime words it (``CPU x2``).
        runtime: the interpreter.
        rate: pictures a second while judging, all models judged together counted as one.
        bare_rate: what the bare engines would do one after another.
        skipped: pictures that could not be read.
    """

    name: str
    sha256: str
    bytes: int
    compressed: int
    macs: int
    parameters: int
    accuracy: Accuracy
    invoke_ms: float
    total_ms: float
    p95_ms: float
    threads: str
    runtime: str
    rate: float
    bare_rate: float
    skipped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Figures:
        """What :meth:`as_dict` gave, also after a way through JSON."""
        accuracy = dict(values["accuracy"])
        accuracy["classes"] = tuple(ClassFigures(**entry) for entry in accuracy["classes"])
        for key in ("confusion", "reliability"):
            accuracy[key] = tuple(tuple(row) for row in accuracy[key])
        kept = {**values, "accuracy": Accuracy(**accuracy), "skipped": tuple(values["skipped"])}
        return cls(**kept)


def of_scores(scores: Floats, truth: Array, names: Sequence[str]) -> Accuracy:
    """A classifier's accuracy.

    Args:
        scores: (N, K), K at least the number of names; columns behind them are labels outside the data.
        truth: class ids (N,), below the number of names.
        names: the data's classes.
    """
    count = len(names)
    said = np.minimum(scores.argmax(1), count) if len(scores) else np.zeros(0, np.int64)
    matrix = metrics.confusion(truth, said, count + 1)[:count]
    confidence = np.clip(scores.max(1, initial=0), 0, 1)
    right = metrics.ranks(scores, truth) == 0
    columns = matrix.sum(0)
    return Accuracy(
        task="classify",
        pictures=len(scores),
        classes=tuple(
            ClassFigures(name, int(matrix[n].sum()), int(matrix[n, n]), int(columns[n]))
            for n, name in enumerate(names)
        ),
        top1=_figure(metrics.top(scores, truth)),
        top5=_figure(metrics.top(scores, truth, 5)) if scores.shape[1] > 5 else None,
        ece=_figure(metrics.calibration_error(confidence, right)),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        reliability=tuple(
            (pictures, _figure(mean), _figure(accuracy))
            for pictures, mean, accuracy in metrics.reliability(confidence, right)
        ),
    )


def of_detections(
    full: Sequence[Detections], reported: Sequence[Detections], truth: Sequence[Truth], names: Sequence[str]
) -> Accuracy:
    """A detector's accuracy.

    Args:
        full: everything the model says of each picture, down to a very low score.
        reported: what it reports at its own threshold.
        truth: of the same pictures.
        names: the data's classes; class ids of all three are its rows (-1 for labels outside the data).
    """
    at_half = average_precision.per_class(full, truth)
    shown, found, named = (np.zeros(len(names), int) for _ in range(3))
    alarms = 0
    for have, want in zip(reported, truth, strict=True):
        alarms += int((have.class_id < 0).sum())
        for class_id in {*have.class_id.tolist(), *want.class_id.tolist()} - {-1}:
            mine = have.class_id == class_id
            wanted = want.xyxy[want.class_id == class_id]
            right = average_precision.match(have.xyxy[mine], wanted, 0.5)
            shown[class_id] += len(wanted)
            found[class_id] += int(right.sum())
            named[class_id] += len(right)
    alarms += int((named - found).sum())
    return Accuracy(
        task="detect",
        pictures=len(truth),
        classes=tuple(
            ClassFigures(name, int(shown[n]), int(found[n]), int(named[n]), at_half.get(n))
            for n, name in enumerate(names)
        ),
        ap50=float(np.mean(list(at_half.values()))) if at_half else 0.0,
        ap=average_precision.mean(full, truth, average_precision.COCO_THRESHOLDS),
        false_alarms=alarms / len(truth) if truth else None,
    )


def _figure(value: float) -> float | None:
    return None if math.isnan(value) else value
