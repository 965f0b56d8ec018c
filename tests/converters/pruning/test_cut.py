"""Channels that say nothing may leave: what is left gives the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.pruning import cost, cut
from edgecam.errors import ModelError
from tests.converters.pruning.networks import pictures, shaken, silence, some_dead, traced

pytestmark = pytest.mark.convert


def check(model: Any, share: float = 0.4, seed: int = 1) -> Any:
    """Silence a share of the channels, cut them out, compare; gives the cut network."""
    channels = traced(shaken(model))
    dead = some_dead(channels, share, seed)
    silence(channels, dead)
    smaller = cut.cut(channels, dead)
    x = pictures(model)
    np.testing.assert_allclose(smaller(x), model(x), rtol=1e-4, atol=2e-6)
    assert cost.of(channels, dead).parameters == smaller.count_params()
    assert cost.of(traced(smaller)) == cost.of(channels, dead)
    if dead.any():
        assert smaller.count_params() < model.count_params()
    return smaller


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "ResNet50", "EfficientNetB0"])
def test_networks_of_keras(name: str) -> None:
    import keras

    check(getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=5))


@pytest.mark.parametrize(
    "name", ["cnn", "plain", "resnet", "squeezenet", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3"]
)
def test_our_own_networks(name: str) -> None:
    from converters.training import networks

    check(networks.build(name, 7, width=0.5))


def test_the_networks_are_all_tried() -> None:
    from converters.training import networks

    tried = next(mark for mark in test_our_own_networks.pytestmark if mark.name == "parametrize").args[1]
    assert set(networks.NAMES) - set(tried) == {"mobilenet_v3_large"}


def test_models_within_models_and_shared_layers() -> None:
    import keras

    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 8, 6)), layers.Conv2D(6, 3, padding="same"), layers.ReLU()])
    image = keras.Input((16, 16, 3))
    shared = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")
    x = layers.Add()([inner(shared(image)), shared(layers.Rescaling(2.0)(image))])
    x = inner(x)  # the same model once more
    x = layers.Concatenate()([x, layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2)(x)])
    x = layers.Conv2DTranspose(7, 3, strides=2)(layers.PReLU(shared_axes=(1, 2))(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(layers.UpSampling2D()(x))
    x = layers.Cropping2D(2)(layers.SpatialDropout2D(0.1)(x))
    gate = layers.Dense(14, activation="sigmoid")(layers.GlobalMaxPooling2D(keepdims=True)(x))
    x = layers.Conv2D(9, 3, strides=7)(layers.Permute((2, 1, 3))(x * gate) + 0.0)
    x = layers.Flatten()(x)
    model = keras.Model(image, layers.Dense(4)(layers.Dense(12, activation="relu")(x)))
    for seed in range(3):
        smaller = check(model, seed=seed)
    assert not any(hasattr(layer, "layers") for layer in smaller.layers)


@st.composite
def recipes(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """A network as a list of (what, channels, which earlier tensor)."""
    kinds = ("conv", "depthwise", "separable", "bn", "relu", "pool", "add", "concat", "gate", "flat")
    count = draw(st.integers(3, 9))
    return [
        (draw(st.sampled_from(kinds)), draw(st.integers(1, 9)), draw(st.integers(0, 9))) for _ in range(count)
    ]


def network(recipe: list[tuple[str, int, int]]) -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    tensors = [image]
    for kind, channels, which in recipe:
        x, other = tensors[-1], tensors[which % len(tensors)]
        width = x.shape[-1]
        made = {
            "conv": lambda x=x, n=channels: layers.Conv2D(n, 3, padding="same")(x),
            "depthwise": lambda x=x, n=channels: layers.DepthwiseConv2D(
                3, padding="same", depth_multiplier=1 + n % 2
            )(x),
            "separable": lambda x=x, n=channels: layers.SeparableConv2D(n, 3, padding="same")(x),
            "bn": lambda x=x: layers.BatchNormalization()(x),
            "relu": lambda x=x: layers.Activation("hard_silu")(x),
            "pool": lambda x=x: layers.MaxPooling2D(3, 1, padding="same")(x),
            "add": lambda x=x, o=other, w=width: x + (o if o.shape[-1] == w else layers.Conv2D(w, 1)(o)),
            "concat": lambda x=x, o=other: layers.Concatenate()([x, o]),
            "gate": lambda x=x, o=other, w=width: layers.Multiply()(
                [x, layers.Dense(w, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(o))]
            ),
            "flat": lambda x=x, w=width: layers.Reshape((8, 8, w))(layers.Flatten()(x)),
        }[kind]()
        if made.shape[-1] <= 40:
            tensors.append(made)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(tensors[-1])))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(recipe=recipes(), share=st.floats(0.1, 0.8), seed=st.integers(0, 99))
def test_any_network(recipe: list[tuple[str, int, int]], share: float, seed: int) -> None:
    check(network(recipe), share, seed)


def test_what_is_not_understood_is_named_and_nothing_changed() -> None:
    import keras

    layers = keras.layers

    class Conv2D(layers.Conv2D):  # type: ignore[misc]
        """Keras's name, but who knows what it does."""

    image = keras.Input((8, 8, 4))
    cases = {
        "attention.*its kind": layers.LayerNormalization(name="attention"),
        "grouped.*2 groups": layers.Conv2D(4, 3, groups=2, name="grouped"),
        "own.*its kind": Conv2D(4, 3, name="own"),
        "rows.*normalises along axis 1": layers.BatchNormalization(axis=1, name="rows"),
    }
    for message, layer in cases.items():
        model = keras.Model(image, layers.Conv2D(3, 3)(layer(layers.Conv2D(4, 1)(image))))
        before = model.get_weights()
        with pytest.raises(ModelError, match=message):
            traced(model)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with pytest.raises(ModelError, match="constant tensor"):
        traced(keras.Model(image, layers.Conv2D(4, 1)(image) * np.arange(4.0)))


def test_limits_of_a_cut() -> None:
    import keras

    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="only")(image)
    channels = traced(keras.Model(image, keras.layers.Conv2D(2, 1)(x)))
    assert channels.fixed.sum() == 3 + 2
    with pytest.raises(ModelError, match="'only' would have no channel left"):
        cut.cut(channels, ~channels.fixed)
    with pytest.raises(ModelError, match="input or output"):
        cut.cut(channels, channels.fixed)


def test_a_reshape_across_channels_holds_them() -> None:
    import keras

    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(6, 1)(image)
    channels = traced(keras.Model(image, keras.layers.Dense(2)(keras.layers.Reshape((16, 2, 3))(x))))
    assert channels.fixed.all()


def test_models_that_are_no_graph() -> None:
    import keras

    from converters import layergraph

    class Mine(keras.Model):  # type: ignore[misc]
        pass

    with pytest.raises(ModelError, match="no functional or sequential model"):
        layergraph.read(Mine(name="mine"))
    with pytest.raises(ModelError, match="no functional or sequential model"):
        layergraph.read(keras.Sequential([keras.layers.Dense(2)]))
