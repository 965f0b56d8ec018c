"""Batch normalisation folded: the same answers from fewer layers; and where ranges are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecam.errors import ModelError
from tests.converters.pruning.networks import pictures, shaken

pytestmark = pytest.mark.convert


def check(model: Any) -> Any:
    """Fold, compare, give the folded model."""
    from converters.qat import folding

    before = shaken(model).get_weights()
    folded = folding.fold(model)
    x = pictures(model)
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-3, atol=1e-5)
    assert not [layer for layer in folded.layers if type(layer).__name__ == "BatchNormalization"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return folded


@pytest.mark.parametrize("name", ["mobilenet_v3", "squeezenet", "resnet", "plain"])
def test_our_own_networks(name: str) -> None:
    from converters.training import networks

    check(networks.build(name, 5, width=0.35))


def test_layers_of_every_kind() -> None:
    import keras

    layers = keras.layers
    image = keras.Input((12, 12, 3))
    x = layers.BatchNormalization(scale=False, name="first")(image)  # nothing before it
    x = layers.SeparableConv2D(6, 3, use_bias=False, activation="silu", name="apart")(x)
    x = layers.BatchNormalization(name="behind_silu")(x)
    y = layers.Conv2D(6, 1, use_bias=False, dtype="float32", name="read_twice")(x)
    x = layers.Add()([y, layers.BatchNormalization()(y)])
    x = layers.ReLU()(layers.BatchNormalization(center=False)(layers.SeparableConv2D(4, 3)(x)))
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Dense(8, use_bias=False)(layers.Flatten()(x)))
    x = layers.BatchNormalization(name="of_rows")(layers.Activation("tanh")(x))
    folded = check(keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x)))
    kinds = {type(layer).__name__ for layer in folded.layers if layer.weights}
    assert kinds == {"Conv2D", "DepthwiseConv2D", "Dense"}
    names = [layer.name for layer in folded.layers]
    assert {"first", "apart_depthwise", "apart", "apart_silu", "behind_silu", "scores_softmax"} <= set(names)


def test_what_is_not_understood_is_named() -> None:
    import keras

    from converters.qat import folding

    layers = keras.layers
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 1, name="shared")
    cases = {
        "up.*its kind": layers.Conv2DTranspose(4, 3, name="up"),
        "many.*multiplier is 2": layers.DepthwiseConv2D(3, depth_multiplier=2, name="many"),
        "split.*multiplier": layers.SeparableConv2D(4, 3, depth_multiplier=2, name="split"),
        "rows.*along axis 1": layers.BatchNormalization(axis=1, name="rows"),
        "shared.*several places": lambda x: shared(shared(x)),
    }
    for message, layer in cases.items():
        with pytest.raises(ModelError, match=message):
            folding.fold(keras.Model(image, layers.Conv2D(3, 3)(layer(image))))


def test_places_of_ranges() -> None:
    import keras

    from converters import layergraph
    from converters.qat import folding, places

    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255, name="unit")(image)
    x = layers.Conv2D(4, 3, padding="same", name="bare")(x)
    x = y = layers.ReLU(6.0, name="ended")(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="part")(x)
    x = layers.MaxPooling2D(1)(layers.Concatenate(name="whole")([x, y]))
    x = layers.Activation("hard_silu", name="swish")(layers.Conv2D(8, 1, name="sums")(x))
    x = layers.ReLU(name="sum")(
        layers.Add(name="hidden")([x, layers.ReLU(negative_slope=0.1, name="leaky")(x)])
    )
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(3, activation="softmax", name="logits")(layers.Dropout(0.2)(x))
    graph = layergraph.read(folding.fold(keras.Model(image, x)))
    names = places.names(graph)
    found = [names[index] for index in places.ranged(graph)]
    assert found == ["image", "ended", "whole", "sums", "swish", "leaky", "sum", "mean", "logits"]
    assert places.takes_pixels(graph)
