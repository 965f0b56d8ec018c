"""A network that looks twice: at a picture and at its mirror image. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from converters.training import heads

layers, ops = keras.layers, keras.ops


def mirrored(model: Any) -> Any:
    """A classifier that answers by the mean of its logits for a picture and for the picture mirrored left to
    right (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, 4.1).

    Args:
        model: with one picture as input and one output for each class.

    Returns:
        A functional ``keras.Model`` around it, with the same weights: twice the multiply-accumulates.

    Raises:
        ModelError: no classifier; see :func:`converters.training.heads.logits`.
    """
    looks = heads.logits(model)
    image = keras.Input(model.inputs[0].shape[1:], name="image")
    both = layers.Average(name="logits")([looks(image), looks(ops.flip(image, axis=2))])
    return keras.Model(image, layers.Softmax(name="scores")(both), name=f"{model.name}_mirrored")
