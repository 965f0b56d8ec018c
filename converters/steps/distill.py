"""``distill``: teach a small network by a large one that knows the classes already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.steps.train import BACKEND, MIRROR, NETWORK, SHARED, WEIGHTS
from converters.training.plan import OPTIONS
from converters.work import Work

TEACHING = (
    Option("temperature", float, 4.0, "By which logits are divided before they are compared."),
    Option("teacher_weight", float, 0.7, "Of the teacher in the loss; the labels have the rest."),
    Option("features", str, (), "Layers whose attention is compared too: TEACHER_LAYER:LAYER.", many=True),
    Option("feature_weight", float, 5.0, "Of each such pair, next to 1 for the logits."),
    Option("teacher_preprocess", str, "", "How a foreign teacher wants its pictures, as --preprocess."),
)


class DistillStep:
    """Writes ``distilled.keras`` and ``augmentation.png``.

    Figures: those of :class:`converters.steps.train.TrainStep`, and ``teacher`` (``file``, ``macs``,
    ``parameters``, and its ``score`` on validation pictures).
    """

    name = "distill"
    options = (
        *NETWORK,
        Option("teacher", str, "", "A trained model; that of the steps before if not said."),
        *TEACHING,
        MIRROR,
        WEIGHTS,
        *OPTIONS,
        BACKEND,
        *SHARED,
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path("data.json")
        for key in ("model", "teacher", "weights"):
            if options[key] and options[key] != "imagenet":
                yield Path(options[key])

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no pictures, no teacher, a teacher of other classes, or options that make no sense.
            EdgecamError: the loss is no number any more; see :func:`converters.training.fit.fit`.
        """
        from converters.training import apart

        return apart.run_step("converters.training.jobs:distill", self, work, options, report)
