"""The steps by name, loaded when they are used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edgecam.errors import UnknownNameError

if TYPE_CHECKING:
    from converters.steps.base import Step

#: name -> "module:Class", in the order in which they are usually run
STEPS = {
    "fetch": "converters.steps.fetch:FetchStep",
    "data": "converters.steps.data:DataStep",
    "train": "converters.steps.train:TrainStep",
    "distill": "converters.steps.distill:DistillStep",
    "prune": "converters.steps.prune:PruneStep",
    "qat": "converters.steps.qat:QatStep",
    "quantize": "converters.steps.quantize:QuantizeStep",
    "evaluate": "converters.steps.evaluate:EvaluateStep",
    "embed": "converters.steps.embed:EmbedStep",
    "edgetpu": "converters.steps.edgetpu:EdgeTpuStep",
    "report": "converters.steps.report:ReportStep",
}

#: name -> its line in the overview
SUMMARIES = {
    "fetch": "Fetch a public model to convert.",
    "data": "Find the pictures, check them and split them.",
    "train": "Train a network on the pictures.",
    "distill": "Train a small network under a large one.",
    "prune": "Make a trained network smaller: channels leave, or weights become zero.",
    "qat": "Train a network that loses too much in int8 to bear the rounding.",
    "quantize": "From a Keras model and pictures to a proven int8 model.",
    "evaluate": "Judge the variants on the test pictures; the quality gate.",
    "embed": "Write contract, report card and golden samples into the final file.",
    "edgetpu": "Compile for the Edge TPU, or say what would not run on it.",
    "report": "Make the page with figures and pictures.",
}


def load(name: str) -> Step:
    """A new step.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in STEPS:
        raise UnknownNameError("step", name, STEPS)
    module, _, attribute = STEPS[name].partition(":")
    step: Step = getattr(importlib.import_module(module), attribute)()
    return step
