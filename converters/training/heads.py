"""The end of a classifier: its logits, whatever activation it ends in. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from edgecam.errors import ModelError

_TINY = 1e-7


def logits(model: Any) -> Any:
    """A model of the same layers that gives logits, (N, classes).

    A softmax at the end is left out. Where it is part of a dense layer, the logarithm of the scores does as
    well: it differs from the logits by the same number for all classes.

    Raises:
        ModelError: no classifier with one output for each class.
    """
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise ModelError(f"{model.name} is no classifier", "one output (N, classes) is needed")
    last = _last(model)
    if _ends_in_softmax(last):
        if isinstance(last, keras.layers.Softmax | keras.layers.Activation) and last in model.layers:
            return keras.Model(model.inputs, last.input, name=model.name)
        scores = model.outputs[0]
        return keras.Model(model.inputs, keras.ops.log(keras.ops.maximum(scores, _TINY)), name=model.name)
    if getattr(getattr(last, "activation", None), "__name__", "") == "sigmoid":
        raise ModelError(f"{model.name} ends in a sigmoid", "one output a class with softmax is needed")
    return keras.Model(model.inputs, model.outputs[0], name=model.name)


def _last(model: Any) -> Any:
    layer = model.layers[-1]
    while hasattr(layer, "layers"):
        layer = layer.layers[-1]
    return layer


def _ends_in_softmax(layer: Any) -> bool:
    named = getattr(getattr(layer, "activation", None), "__name__", "")
    return isinstance(layer, keras.layers.Softmax) or named == "softmax"
