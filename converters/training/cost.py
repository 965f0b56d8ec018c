"""What a network costs, before it is trained and converted. Needs TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from converters.training.freeze import flat


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
    return Cost(sum(map(_macs, flat(model))), int(model.count_params()))


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
