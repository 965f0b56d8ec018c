"""What the networks are made of. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from converters.training.networks import SCALINGS, Design

layers = keras.layers
_KERNEL = "he_normal"
_ROUND = 8  # channels: int8 kernels work on eights


def channels(number: float, design: Design) -> int:
    """A number of channels times the width multiplier, a multiple of 8 where it is not tiny."""
    wanted = number * design.width
    if wanted < 2 * _ROUND:
        return max(4, round(wanted / 4) * 4)
    return max(_ROUND, round(wanted / _ROUND) * _ROUND)


def begin(design: Design, scaling: str = "0..1") -> tuple[Any, Any]:
    """The input and what it is after normalisation."""
    image = keras.Input((*design.input_size, design.channels), name="image")
    scale, offset = SCALINGS[design.scaling or scaling]
    return image, layers.Rescaling(scale, offset, name="rescaling")(image)


def conv(x: Any, filters: int, kernel: int, name: str, *, strides: int = 1, padding: str = "same") -> Any:
    """A convolution without bias: batch normalisation follows."""
    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer=_KERNEL,
        name=name,
    )(x)


def norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)


def activate(x: Any, design: Design, name: str, default: str = "relu") -> Any:
    kind = design.activation or default
    if kind == "relu":
        return layers.ReLU(name=name)(x)
    if kind == "relu6":
        return layers.ReLU(6.0, name=name)(x)
    return layers.Activation(kind, name=name)(x)


def conv_norm_act(x: Any, design: Design, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
    x = conv(x, filters, kernel, name, strides=strides)
    return activate(norm(x, f"{name}_bn"), design, f"{name}_act")


def finish(image: Any, features: Any, design: Design, name: str) -> Any:
    """The last dense layer and the softmax behind a vector of features."""
    if design.dropout:
        features = layers.Dropout(design.dropout, name="dropout")(features)
    logits = layers.Dense(design.classes, name="logits")(features)
    return keras.Model(image, layers.Softmax(name="scores")(logits), name=name)
