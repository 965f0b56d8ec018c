"""SSDLite detectors on a MobileNet. Needs TensorFlow.

After Sandler et al., "MobileNetV2", 2018 (section 6.2): every map has a depthwise convolution and a 1x1
convolution for boxes, and another two for scores. Maps are taken where the backbone is about to halve its
picture and at its end; coarser ones than it has are made by inverted bottlenecks with stride 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from converters.detection import BACKBONES, anchors
from converters.training import networks
from edgecam.errors import UsageError

layers = keras.layers
_PRIOR = 0.01  # probability of every class at the start (Lin et al., "Focal Loss", 2017, section 4.1)
_EXTRA = (512, 256, 256, 128)  # channels of the maps behind the backbone
_MOMENTUM = 0.95
PREFIX = "ssd_"  # of every layer that the backbone has not


def build(
    name: str, classes: int, input_size: tuple[int, int], told: Mapping[str, Any], **design: Any
) -> Any:
    """A new detector with random weights.

    Args:
        name: one of :data:`converters.detection.NAMES`.
        classes: of the data; there is no column for the background.
        input_size: (height, width).
        told: the anchors, as :func:`converters.detection.anchors.choose` gives them.
        design: of the backbone, see :class:`converters.training.networks.Design`.

    Returns:
        A functional ``keras.Model``: float32 (N, H, W, 3) of pixels 0 to 255 to ``boxes`` (N, anchors, 4),
        codes of :func:`converters.detection.matching.encode`, and ``scores`` (N, anchors, classes), logits.

    Raises:
        UsageError: it cannot be built so.
    """
    anchors.check_size(input_size)
    backbone = networks.build(BACKBONES[name], 2, input_size, **design)
    maps = _maps(backbone, told["strides"], design.get("width", 1.0))
    shapes = [tensor.shape[1:3] for tensor in maps]
    wanted = [tuple(math.ceil(side / stride) for side in input_size) for stride in told["strides"]]
    if shapes != wanted:
        raise UsageError(f"{name} has no maps for strides {told['strides']}", "leave out --strides")
    count = anchors.per_cell(told)
    boxes, scores = [], []
    for tensor, stride in zip(maps, told["strides"], strict=True):
        boxes.append(_predict(tensor, count, 4, f"{PREFIX}boxes_{stride}", "zeros"))
        prior = keras.initializers.Constant(-math.log((1 - _PRIOR) / _PRIOR))
        scores.append(_predict(tensor, count, classes, f"{PREFIX}scores_{stride}", prior))
    outputs = [
        layers.Concatenate(axis=1, name="boxes")(boxes),
        layers.Concatenate(axis=1, name="scores")(scores),
    ]
    return keras.Model(backbone.inputs, outputs, name=name)


def _maps(backbone: Any, strides: Sequence[int], width: float) -> list[Any]:
    """A tensor for each stride."""
    found, stride = {}, 1
    for layer in backbone.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.strides[0] == 2:
            found[stride] = layer.input
            stride *= 2
    found[stride] = backbone.get_layer("pool").input
    last, extra = stride, 0
    while last < strides[-1]:
        filters = max(16, round(_EXTRA[min(extra, len(_EXTRA) - 1)] * min(width, 1.0) / 8) * 8)
        found[last * 2] = _halved(found[last], filters, f"{PREFIX}extra_{last * 2}")
        last, extra = last * 2, extra + 1
    missing = [stride for stride in strides if stride not in found]
    if missing:
        raise UsageError(f"the network has no map of stride {missing[0]}", f"it begins at {min(found)}")
    return [found[stride] for stride in strides]


def _halved(x: Any, filters: int, name: str) -> Any:
    x = layers.Conv2D(filters // 2, 1, use_bias=False, name=f"{name}_reduce")(x)
    x = _norm(x, f"{name}_reduce")
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _norm(x, f"{name}_depthwise")
    return _norm(layers.Conv2D(filters, 1, use_bias=False, name=name)(x), name)


def _norm(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=1e-3, name=f"{name}_BN")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _predict(x: Any, count: int, values: int, name: str, bias: Any) -> Any:
    """Numbers for each anchor of a map, (N, anchors, values)."""
    cells = x.shape[1] * x.shape[2]
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _norm(x, f"{name}_depthwise")
    kernel = keras.initializers.RandomNormal(stddev=0.03)
    x = layers.Conv2D(
        count * values, 1, kernel_initializer=kernel, bias_initializer=bias, name=f"{name}_conv"
    )(x)
    return layers.Reshape((cells * count, values), name=f"{name}_flat")(x)
