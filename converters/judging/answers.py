"""What a model said of each picture, in the data's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from converters.average_precision import Truth
from converters.judging import figures
from converters.judging.figures import Accuracy
from edgecam.contract import ModelSpec
from edgecam.errors import UsageError
from edgecam.types import Array, Classification, Detections, Floats, Ints, Result


class Translation:
    """From a model's label numbers to rows of the data's classes.

    A model without labels is taken at its word: its classes are the data's, in order.

    Args:
        spec: the model's contract.
        outputs: number of classes that a classifier's output has; 0 where that is not known.
        names: the data's classes.

    Raises:
        UsageError: the model does not know one of them, or has another number without saying which.
    """

    def __init__(self, spec: ModelSpec, outputs: int, names: Sequence[str]) -> None:
        labels = spec.labels or tuple(names)
        unknown = [name for name in names if name not in labels]
        if unknown:
            raise UsageError(
                f"{spec.name} has no label {unknown[0]!r} ({len(unknown)} of {len(names)} are missing)",
                "judge it on data with its own classes, or name the right labels",
            )
        if not spec.labels and outputs and outputs != len(names):
            raise UsageError(
                f"{spec.name} has {outputs} classes, the data {len(names)}", "embed the model's labels in it"
            )
        self.names = tuple(names)
        # Labels with unused slots hold "" more than once.
        own = (
            [*range(len(labels))] if tuple(names) == tuple(labels) else [labels.index(name) for name in names]
        )
        rest = [n for n in range(len(labels)) if n not in set(own)]
        #: label number -> column: the data's classes first, the others behind them
        self.column = np.zeros(len(labels), np.int32)
        self.column[own + rest] = np.arange(len(labels), dtype=np.int32)

    def scores(self, result: Classification) -> Floats:
        """All scores, float32 (K,), the data's classes first."""
        row = np.zeros(len(self.column), np.float32)
        row[self.column[result.class_id]] = result.score
        return row

    def detections(self, result: Detections) -> Detections:
        """The same with the data's class ids, -1 for labels that the data has not."""
        column = self.column[result.class_id] if len(result) else np.zeros(0, np.int32)
        ids: Ints = np.where(column < len(self.names), column, -1).astype(np.int32)
        return Detections(result.xyxy, result.score, ids)


@dataclass
class Answers:
    """A model's answers, collected; ``truth`` and ``paths`` are alike for all models judged together.

    Attributes:
        translation: into the data's classes.
        full: everything it says: score rows of a classifier, Detections of a detector.
        reported: what a detector reports at its own threshold.
    """

    translation: Translation
    full: list[Floats | Detections] = field(default_factory=list)
    reported: list[Detections] = field(default_factory=list)

    def add(self, answer: tuple[Result, Result]) -> None:
        """One picture's answer, of :meth:`converters.judging.runner.Runner.run`."""
        full, reported = answer
        if isinstance(full, Classification):
            self.full.append(self.translation.scores(full))
        elif isinstance(reported, Detections):
            self.full.append(self.translation.detections(full))
            self.reported.append(self.translation.detections(reported))

    @property
    def scores(self) -> Floats:
        """A classifier's scores, float32 (N, K)."""
        if not self.full:
            return np.zeros((0, len(self.translation.column)), np.float32)
        return np.stack([np.asarray(row) for row in self.full])

    @property
    def detections(self) -> list[Detections]:
        """A detector's answers, down to a very low score."""
        return [entry for entry in self.full if isinstance(entry, Detections)]

    def accuracy(self, truth: Truths) -> Accuracy:
        """How good they are."""
        if truth.boxes:
            return figures.of_detections(self.detections, self.reported, truth.boxes, self.translation.names)
        return figures.of_scores(self.scores, truth.class_id, self.translation.names)


@dataclass(frozen=True, eq=False)
class Truths:
    """What the pictures show.

    Attributes:
        paths: of the pictures that could be read.
        class_id: (N,) for a classifier.
        boxes: N entries for a detector, else empty.
    """

    paths: tuple[str, ...]
    class_id: Array
    boxes: tuple[Truth, ...] = ()
