"""Statistics of batch normalisation for weights that no batch has seen: averaged ones. Needs TensorFlow.

A moving average of the weights lags behind them, while the moving statistics are of the weights themselves: a
network judged with both says nonsense as long as it learns fast. Stochastic weight averaging counts them anew
(Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018); so does this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from converters.training.freeze import flat

PICTURES = 2000
BATCHES = 16  # at most: with many places in a picture a few hundred pictures are enough


def settle(net: Any, batches: Iterable[Any]) -> None:
    """Count means and variances anew, the mean of those of the first batches.

    Args:
        net: its layers that learn get the statistics of their inputs.
        batches: of equal size, whose first part is pictures.
    """
    norms = [
        layer
        for layer in flat(net)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable and not layer.renorm
    ]
    if not norms:
        return
    before = [layer.momentum for layer in norms]
    try:
        for number, (x, *_) in enumerate(batches):
            for layer in norms:
                layer.momentum = number / (number + 1)
            net(keras.ops.cast(x, "float32"), training=True)
            if number + 1 == BATCHES or (number + 1) * len(x) >= PICTURES:
                break
    finally:
        for layer, momentum in zip(norms, before, strict=True):
            layer.momentum = momentum
