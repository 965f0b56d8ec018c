"""``train``: teach a network by name, or a model that is there, on the pictures of the split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters import detection
from converters.steps.base import Option, Report
from converters.training.networks import ACTIVATIONS, NAMES, SCALINGS
from converters.training.plan import OPTIONS
from converters.work import Work

NETWORK = (
    Option("network", str, "", "Network to train from random weights.", choices=("", *NAMES)),
    Option("width", float, 1.0, "Channels of every layer, as a multiple of the network's own."),
    Option("depth", int, 0, "Layers of resnet: 8, 14, 20, 32, ...; 0 for 20."),
    Option("widths", int, (), "Channels of each block of plain and resnet.", many=True),
    Option("activation", str, "", "Instead of the network's own.", choices=ACTIVATIONS),
    Option("dropout", float, 0.0, "Share of the features left out before the last layer, in training."),
    Option("scaling", str, "", "Range to which the network brings pixels.", choices=("", *SCALINGS)),
    Option("whiten", bool, False, "Make the first convolution (plain) whiten patches, and keep it so."),
)
BOXES = (
    Option("strides", int, (), "Of a detector's maps: 8, 16, ...; by the boxes if not said.", many=True),
    Option(
        "anchor_scales", float, (), "Anchors of each map, as a share of the input; by the boxes.", many=True
    ),
    Option("anchor_ratios", float, (), "Anchors' width by height; by the boxes if not said.", many=True),
    Option("crop", float, 0.5, "Share of pictures with boxes that are cropped around one of them."),
)
BACKEND = Option(
    "backend",
    str,
    "tensorflow",
    "Of Keras; jax also trains on GPUs, and where there is no TensorFlow.",
    choices=("tensorflow", "jax"),
)
WHERE = (
    BACKEND,
    Option("devices", int, 0, "With jax: how many take a share of each batch; 0 for all."),
)
MIRROR = Option(
    "mirror",
    bool,
    False,
    "Keep a network that answers by the mean of a picture and its mirror image: twice the work.",
)
WEIGHTS = Option(
    "weights", str, "", "Weights to begin with: a .keras or .h5 file, a detector's tfjs model.json, imagenet."
)
SHARED = (
    Option("model", str, "", "The model."),
    Option(
        "input_size", int, (), "Height and width of a new network's input; 32, or 320 with boxes.", many=True
    ),
    Option("resize", str, "stretch", "How a picture is laid into the input."),
)


class TrainStep:
    """Writes ``trained.keras`` and ``augmentation.png``.

    With boxes also ``trained.detector.json``, which tells ``quantize`` what the outputs are.

    Figures: ``network``, ``input``, ``parameters``, ``macs``, ``epochs``, ``seconds``, ``history`` (a row an
    epoch), ``best``, ``kept`` (epoch), ``stopped``, ``plan``, and with ``mirror`` its validation under
    ``mirrored``; see :class:`converters.training.fit.Fitted`.
    """

    name = "train"
    options = (
        replace(NETWORK[0], choices=(*NETWORK[0].choices, *detection.NAMES)),
        *NETWORK[1:],
        *BOXES,
        MIRROR,
        WEIGHTS,
        *OPTIONS,
        *WHERE,
        *SHARED,
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path("data.json")
        for key in ("model", "weights"):
            if options[key] and options[key] != "imagenet":
                yield Path(options[key])
                if options[key].endswith(".json"):
                    from converters import tfjs

                    yield from tfjs.shards(Path(options[key]))

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no pictures, no network, or options that make no sense.
            EdgecamError: the loss is no number any more; see :func:`converters.training.fit.fit`.
        """
        from converters.training import apart

        return apart.run_step("converters.training.jobs:train", self, work, options, report)
