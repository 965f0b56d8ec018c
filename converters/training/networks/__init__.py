"""Networks for classification by name, sized for small boards. Needs TensorFlow when one is built.

Every network takes pixels from 0 to 255 (a layer ``rescaling`` normalises them, so that whoever meets the
file knows how it wants its pictures) and ends in a layer ``logits`` and a softmax ``scores``. Strides are
taken out of the first layers for small inputs: a network made for 224x224 would see nothing in 32x32.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecam.errors import UnknownNameError, UsageError

#: name -> (module, what it is)
NETWORKS = {
    "cnn": ("plain", "two convolutions, two poolings, one hidden dense layer (32, 64, 128)"),
    "plain": ("plain", "a stem and three blocks of two convolutions; learns fast"),
    "resnet": ("residual", "a small residual network, ResNet-20 unless --depth says otherwise"),
    "squeezenet": ("squeeze", "SqueezeNet 1.1 with batch normalisation"),
    "mobilenet_v1": ("mobile", "MobileNet"),
    "mobilenet_v2": ("mobile", "MobileNetV2"),
    "mobilenet_v3": ("mobile", "MobileNetV3 small"),
    "mobilenet_v3_large": ("mobile", "MobileNetV3 large"),
}
NAMES = tuple(NETWORKS)
ACTIVATIONS = ("", "relu", "relu6", "gelu", "silu", "hard_silu")
#: how pixels become numbers around zero: name -> (scale, offset)
SCALINGS = {"0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
INPUT_SIZE = 32
_MIN_SIDE, _MAX_SIDE = 16, 1024


@dataclass(frozen=True)
class Design:
    """What may be chosen of a network.

    Attributes:
        classes: outputs.
        input_size: (height, width).
        channels: 1 or 3.
        width: multiplies the channels of every layer.
        depth: layers of ``resnet`` (6n + 2), 0 for its own.
        widths: channels of the blocks of ``plain`` and ``resnet``, before ``width``; empty for their own.
        activation: one of :data:`ACTIVATIONS`; "" for the network's own.
        dropout: share of the features that are left out before the last layer, in training.
        scaling: one of :data:`SCALINGS`, "" for the network's own. ``0..1`` is free on the device: the
            converter merges it into the first convolution.
    """

    classes: int
    input_size: tuple[int, int] = (INPUT_SIZE, INPUT_SIZE)
    channels: int = 3
    width: float = 1.0
    depth: int = 0
    widths: Sequence[int] = field(default=())
    activation: str = ""
    dropout: float = 0.0
    scaling: str = ""


def build(
    name: str, classes: int, input_size: tuple[int, int] = (INPUT_SIZE, INPUT_SIZE), **more: Any
) -> Any:
    """A new network with random weights.

    Args:
        name: one of :data:`NAMES`.
        classes: outputs.
        input_size: (height, width).
        more: see :class:`Design`.

    Returns:
        A functional ``keras.Model``: float32 (N, H, W, C) of pixels 0 to 255 to scores (N, classes).

    Raises:
        UnknownNameError: there is no such network.
        UsageError: it cannot be built so.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    design = Design(classes, (int(input_size[0]), int(input_size[1])), **more)
    _check(name, design)
    module = importlib.import_module(f"{__name__}.{NETWORKS[name][0]}")
    return module.build(name, design)


def _check(name: str, design: Design) -> None:
    if design.classes < 2:
        raise UsageError(f"{name} with {design.classes} class", "two classes at the least")
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in design.input_size):
        height, width = design.input_size
        raise UsageError(
            f"{name} for pictures of {width}x{height}", f"{_MIN_SIDE} to {_MAX_SIDE} pixels a side"
        )
    if not 0.05 <= design.width <= 4:
        raise UsageError(f"width {design.width:g}", "0.05 to 4 times the network's own")
    if not 0 <= design.dropout < 1:
        raise UsageError(f"dropout {design.dropout:g}", "0 to less than 1")
    for what, value, known in (
        ("activation", design.activation, ACTIVATIONS),
        ("scaling", design.scaling, ("", *SCALINGS)),
    ):
        if value not in known:
            raise UnknownNameError(what, value, known)
    if design.widths and name not in ("plain", "resnet"):
        raise UsageError(f"{name} takes no widths", "plain and resnet do; use width")
    if design.depth and name != "resnet":
        raise UsageError(f"{name} takes no depth", "resnet does")
    if design.activation and name.startswith("mobilenet"):
        raise UsageError(f"{name} takes no other activation", "leave it out")


def reductions(input_size: tuple[int, int]) -> int:
    """How many halvings of the first layers a network for 224x224 must do without on such an input."""
    side = min(input_size)
    return 0 if side >= 96 else 1 if side >= 48 else 2
