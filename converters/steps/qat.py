"""``qat``: fine-tune a network that already computes as if it were int8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.steps.prune import SHARED, TEACH, gentle, models
from converters.work import Work

_GENTLE = {"epochs": 5, "rate": 0.0001, "warmup": 0.05, "weight_decay": 0.0}


class QatStep:
    """Writes ``qat.keras``: the network with batch normalisation folded, with weights that bear rounding, and
    the ranges of its tensors, which the step ``quantize`` takes over.

    Figures: ``float``, ``rounded`` and ``tuned`` (accuracy before, of the rounded network without training,
    and after; {} without validation pictures), ``ranges`` (tensor -> least and greatest value),
    ``network``, ``parameters``, ``epochs``, ``seconds``, ``history``, ``stopped``, ``plan``.
    """

    name = "qat"
    options = (
        Option("pictures", int, 512, "Pictures to see ranges on before training."),
        Option("momentum_of_ranges", float, 0.99, "How slowly ranges follow the training."),
        *TEACH,
        *gentle(_GENTLE),
        *SHARED,
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path("data.json")
        yield from models(options)

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no pictures, or no model.
            ModelError: a layer that is not understood; it is named.
            EdgecamError: the loss is no number any more.
        """
        from converters.training import apart

        return apart.run_step("converters.qat.jobs:qat", self, work, options, report)
