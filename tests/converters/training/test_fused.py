"""Batch normalisation in one operation, and what else differs in the network that is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters.training import networks
from edgecam.types import Array

pytestmark = pytest.mark.convert

RNG = np.random.default_rng(5)


def pair(channels: int, **options: Any) -> tuple[Any, Any]:
    """Keras's layer and ours, with the same weights."""
    import keras

    from converters.training import fused

    made = [
        layer(momentum=0.8, epsilon=1e-3, **options)
        for layer in (keras.layers.BatchNormalization, fused.FusedBatchNormalization)
    ]
    values = None
    for layer in made:
        layer.build((None, 5, 6, channels))
        values = values or [RNG.uniform(0.5, 2, weight.shape) for weight in layer.weights]
        layer.set_weights(values)
    return made[0], made[1]


def learnt(layer: Any, x: Array, scale: Array, training: bool) -> list[Array]:
    """The answers, the gradients of their weighted sum, and the averages afterwards."""
    import tensorflow as tf

    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        out = layer(given, training=training)
        total = tf.reduce_sum(out * scale)
    # Keras's way knows a gradient with respect to moving averages too.
    found = tape.gradient(total, [given, *(weight.value for weight in layer.trainable_weights)])
    return [np.asarray(value) for value in (out, *found, *layer.non_trainable_weights)]


@pytest.mark.parametrize("channels", [16, 24])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"trainable": False}], ids=str)
def test_answers_gradients_and_averages_are_those_of_keras(
    channels: int, training: bool, options: dict[str, bool]
) -> None:
    theirs, ours = pair(channels, **options)
    x = RNG.normal(3, 2, (7, 5, 6, channels)).astype(np.float32)
    scale = RNG.normal(0, 1, x.shape).astype(np.float32)
    wanted, found = (learnt(layer, x, scale, training) for layer in (theirs, ours))
    assert len(wanted) == len(found)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_it_is_one_operation_where_that_is_fast() -> None:
    import tensorflow as tf

    def names(channels: int) -> set[str]:
        _, ours = pair(channels)
        traced = tf.function(lambda x: ours(x, training=True)).get_concrete_function(
            tf.TensorSpec((None, 5, 6, channels))
        )
        return {operation.type for operation in traced.graph.get_operations()}

    assert "FusedBatchNormV3" in names(32)
    assert "FusedBatchNormV3" not in names(24)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_trained_network_is_keras_s_own_again(kind: str) -> None:
    from converters.training import precision

    model = networks.build("resnet", 4, (32, 32), depth=8)
    work = precision.working(model, kind)
    assert {type(layer).__name__ for layer in work.layers} >= {"FusedBatchNormalization"}
    for weight in work.weights:
        weight.assign(RNG.uniform(0.1, 0.2, weight.shape))
    precision.carry(work, model)
    assert {type(layer).__name__ for layer in model.layers}.isdisjoint({"FusedBatchNormalization"})
    for mine, theirs in zip(model.weights, work.weights, strict=True):
        assert mine.path == theirs.path
        np.testing.assert_array_equal(mine, theirs)
    x = RNG.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    tolerance = 1e-5 if kind == "float32" else 2e-2
    np.testing.assert_allclose(model.predict(x, verbose=0), work.predict(x, verbose=0), atol=tolerance)


def test_a_model_within_a_model_is_changed_too() -> None:
    import keras

    from converters.training import precision

    inner = keras.Sequential([keras.Input((8, 8, 16)), keras.layers.BatchNormalization(name="norm")])
    image = keras.Input((8, 8, 16))
    work = precision.working(keras.Model(image, inner(image)), "float32")
    assert type(work.layers[1].get_layer("norm")).__name__ == "FusedBatchNormalization"


def test_strided_depthwise_convolutions_stay_in_float32() -> None:
    import keras

    from converters.training import precision

    work = precision.working(networks.build("mobilenet_v2", 4, (32, 32), width=0.35), "bfloat16")
    depthwise = [layer for layer in work.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    computed = {(layer.strides != (1, 1), layer.compute_dtype) for layer in depthwise}
    assert computed == {(True, "float32"), (False, "bfloat16")}
