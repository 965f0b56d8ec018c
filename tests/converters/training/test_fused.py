"""Batch normalisation in one operation, and what else is quicker in the network that is trained."""

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


def convolved(layer: Any, x: Array, scale: Array) -> list[Array]:
    """The answers and the gradients of their weighted sum, by input and kernel."""
    import tensorflow as tf

    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        out = tf.cast(layer(given), tf.float32)
        total = tf.reduce_sum(out * scale)
    found = tape.gradient(total, [given, layer.kernel.value])
    return [np.asarray(value, np.float32) for value in (out, *found)]


@pytest.mark.parametrize(("side", "filters"), [(7, 128), (8, 144), (3, 128), (9, 128), (7, 32)])
@pytest.mark.parametrize("options", [{}, {"use_bias": True, "activation": "tanh"}], ids=str)
def test_a_convolution_has_the_gradients_of_keras(side: int, filters: int, options: dict[str, Any]) -> None:
    import keras

    from converters.training import fused

    made = [
        kind(filters, 3, padding="same", dtype="mixed_bfloat16", **{"use_bias": False, **options})
        for kind in (keras.layers.Conv2D, fused.QuickConv2D)
    ]
    x = RNG.normal(0, 1, (5, side, side, 128)).astype(np.float32)
    scale = RNG.normal(0, 1, (5, side, side, filters)).astype(np.float32)
    for layer in made:
        layer.build(x.shape)
    made[1].set_weights(made[0].get_weights())
    for one, other in zip(*(convolved(layer, x, scale) for layer in made), strict=True):
        # bfloat16 has eight bits; sums are rounded in another order.
        np.testing.assert_allclose(one, other, atol=0.03 * np.abs(one).max())


def test_only_small_maps_of_many_channels_take_the_other_gradient() -> None:
    import tensorflow as tf

    from converters.training import fused

    def slow(side: int, channels: int, kind: str = "mixed_bfloat16", **options: Any) -> bool:
        layer = fused.QuickConv2D(channels, 3, **{"padding": "same", "dtype": kind, **options})
        layer.build((None, side, side, channels))

        def step(x: Any) -> Any:
            with tf.GradientTape() as tape:
                out = tf.reduce_sum(layer(x))
            return tape.gradient(out, layer.kernel.value)

        traced = tf.function(step).get_concrete_function(tf.TensorSpec((4, side, side, channels)))
        return "Conv2DBackpropFilter" in {operation.type for operation in traced.graph.get_operations()}

    assert not slow(8, 128)
    assert slow(9, 128)
    assert slow(8, 64)
    assert slow(8, 128, "float32")
    assert slow(8, 128, strides=2)
    assert slow(8, 128, padding="valid")
