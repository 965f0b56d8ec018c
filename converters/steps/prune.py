"""``prune``: channels leave a trained network, or weights become zero, with fine-tuning in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.steps.train import BACKEND, MIRROR
from converters.training.plan import OPTIONS
from converters.work import Work

#: the plan of a fine-tuning: shorter and gentler than a training
_GENTLE = {"epochs": 2, "rate": 0.0005, "warmup": 0.05}


def gentle(values: Mapping[str, Any]) -> tuple[Option, ...]:
    """The options of a plan with other defaults."""
    return tuple(
        replace(option, default=values[option.name]) if option.name in values else option
        for option in OPTIONS
    )


TEACH = (
    Option(
        "teacher",
        str,
        "",
        "Fine-tune under a trained model: a file, a step (train), or itself for the network as it was.",
    ),
    Option("temperature", float, 4.0, "By which logits are divided before they are compared."),
    Option("teacher_weight", float, 0.5, "Of the teacher in the loss; the labels have the rest."),
)
SHARED = (
    Option("model", str, "", "The trained model."),
    Option("preprocess", str, "", "How it wants its pictures, if it does not scale them itself."),
    Option("resize", str, "stretch", "How a picture is laid into the input."),
)


def models(options: Mapping[str, Any]) -> Iterable[Path]:
    """The files of model and teacher."""
    yield from (Path(options[key]) for key in ("model", "teacher") if options[key] not in ("", "itself"))


class PruneStep:
    """Writes ``pruned.keras``.

    Figures: ``kind``, ``by``, ``target``, ``met``, ``network``, ``macs`` and ``parameters``, what they were
    ``before``, ``rounds`` (a row a round, see :meth:`converters.pruning.rounds.Rounds.run`), ``seconds``,
    ``history`` (a row an epoch), ``plan``.
    """

    name = "prune"
    options = (
        Option("to", float, 0.5, "Share of the multiply-accumulates to keep."),
        Option("to_kb", float, 0.0, "Instead: size of the int8 file, in kB."),
        Option("to_ms", float, 0.0, "Instead: time of the int8 file for a picture, one thread, in ms."),
        Option("sparsity", float, 0.0, "Instead: share of weights to set to zero, for a smaller download."),
        Option(
            "by",
            str,
            "l1",
            "What a channel is worth: norm of its filter, scale of its batch normalisation, entropy of its"
            " answers.",
            choices=("l1", "gamma", "entropy", "random"),
        ),
        Option("rounds", int, 3, "How often is cut."),
        Option("final_epochs", int, 10, "Of training after the last cut; --epochs is after the others."),
        Option("slim_epochs", int, 0, "Epochs before the first cut that draw weights to zero by L1."),
        Option("slim", float, 0.0001, "Strength of that."),
        Option("floor", int, 8, "Channels that a layer keeps at the least."),
        Option("least", float, 0.25, "Share of its channels that a layer keeps in a round."),
        Option("multiple", int, 8, "Numbers of channels are multiples of this."),
        Option("pictures", int, 512, "Pictures to see channels' answers on, for entropy."),
        *TEACH,
        MIRROR,
        *gentle(_GENTLE),
        BACKEND,
        *SHARED,
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path("data.json")
        yield from models(options)

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no pictures, no model, or a target that cannot be met: it says how far it gets.
            ModelError: a layer that is not understood; it is named.
            EdgecamError: the loss is no number any more.
        """
        from converters.training import apart

        return apart.run_step("converters.pruning.jobs:prune", self, work, options, report)
