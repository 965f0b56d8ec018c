"""What a network costs, before it is trained and converted. Needs TensorFlow."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras


class Cost(NamedTuple):
    """
    Attributes:
        macs: multiply-accumulates of one picture.
        parameters: weights.
    """

    macs: int
    parameters: int


def of_model(model: Any) -> Cost:
    """Cost of convolutions and dense layers; what :mod:`converters.macs` counts in the converted file."""
    return Cost(_all(model), int(model.count_params()))


def _all(model: Any) -> int:
    """Of a model's layers, those of models within as often as they are called."""
    calls = {}
    with contextlib.suppress(NotImplementedError):  # a class of its own need not say what it is made of
        told = model.get_config().get("layers", ())
        calls = {entry["name"]: len(entry["inbound_nodes"]) for entry in told if "inbound_nodes" in entry}
    return sum(
        calls.get(layer.name, 1) * _all(layer) if hasattr(layer, "layers") else _macs(layer)
        for layer in model.layers
    )


def _macs(layer: Any) -> int:
    layers = keras.layers
    if isinstance(layer, layers.SeparableConv2D):
        depth, point = layer.depthwise_kernel.shape, layer.pointwise_kernel.shape
        return _size(layer.output.shape[1:3]) * (_size(depth) + _size(point))
    if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2D):
        return _size(layer.output.shape[1:3]) * _size(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return _size(layer.output.shape[1:-1]) * _size(layer.kernel.shape)
    return 0


def _size(shape: Sequence[int | None]) -> int:
    return math.prod(side or 1 for side in shape)
