"""Which channels leave, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest

from converters import macs
from converters.pruning import choose, cost, criteria, cut
from converters.pruning.choose import Limits
from edgecam.errors import ModelError
from tests.converters.pruning.networks import shaken, silence, some_dead, traced


def test_numbers_are_rounded_up_within_limits() -> None:
    parts = [np.arange(0, 24), np.arange(24, 30)]
    rated = np.arange(30.0)
    dead = choose.rounded(parts, rated, np.arange(30), Limits(floor=8, share=0.5, multiple=8), 30)
    assert [int((~dead[part]).sum()) for part in parts] == [16, 6]
    assert dead[:8].all()
    dead = choose.rounded(parts, rated, np.arange(3), Limits(floor=1, share=0, multiple=1), 30)
    assert np.flatnonzero(dead).tolist() == [0, 1, 2]


def test_entropy_of_answers() -> None:
    rng = np.random.default_rng(0)
    answers = np.stack([np.full(512, 3.0), rng.uniform(size=512), rng.integers(0, 2, 512)], 1)
    constant, uniform, coin = criteria.entropy(answers)
    assert constant == 0
    assert coin == pytest.approx(1, abs=0.01)
    assert np.log2(100) - 0.3 < uniform <= np.log2(100)


@pytest.mark.convert
@pytest.mark.parametrize(("by", "name"), [("l1", "plain"), ("gamma", "mobilenet_v2"), ("entropy", "plain")])
def test_silent_channels_are_rated_least(by: str, name: str) -> None:
    from converters.training import networks

    model = shaken(networks.build(name, 4, width=0.35))
    channels = traced(model)
    dead = some_dead(channels, 0.3)
    silence(channels, dead)
    x = np.random.default_rng(1).uniform(0, 255, (64, 32, 32, 3)).astype(np.float32)
    rated = criteria.scores(channels, by, [x[:32], x[32:]])
    assert np.isinf(rated[channels.fixed]).all()
    spoken = rated[~dead & ~channels.fixed]
    assert rated[dead].max() <= spoken.min() + 1e-9  # a random network has channels that never answer
    assert rated[dead].max() < np.median(spoken)


@pytest.mark.convert
def test_as_few_leave_as_meet_the_target() -> None:
    import keras

    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), classes=5)
    channels = traced(model)
    rated = criteria.scores(channels, "random", seed=4)
    full = cost.of(channels).macs

    def excess(dead: np.ndarray) -> float:
        return cost.of(channels, dead).macs / (0.6 * full)

    found = choose.choose(channels, rated, excess, Limits(share=0.1))
    assert found.met
    assert 0.9 < found.excess <= 1
    smaller = cut.cut(channels, found.dead)
    for layer in smaller.layers:
        if type(layer).__name__ == "Conv2D":
            old = model.get_layer(layer.name).filters
            assert layer.filters == old or layer.filters % 8 == 0, layer.name
    never = choose.choose(channels, rated, lambda dead: 100 * excess(dead), Limits(share=0.5))
    assert not never.met
    assert cost.of(channels, never.dead).macs < full


@pytest.mark.convert
def test_cost_is_what_the_file_costs() -> None:
    import tensorflow as tf

    from converters.training import networks

    model = networks.build("mobilenet_v3", 4, width=0.35)
    call = tf.function(lambda x: model(x, training=False))
    function = call.get_concrete_function(tf.TensorSpec([1, 32, 32, 3]))
    data = tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
    assert cost.of(traced(model)).macs == macs.count(data).macs


@pytest.mark.convert
def test_criteria_that_need_something() -> None:
    import keras

    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(image)
    channels = traced(keras.Model(image, keras.layers.Conv2D(2, 1)(x)))
    with pytest.raises(ModelError, match="no batch normalisation"):
        criteria.scores(channels, "gamma")
    with pytest.raises(ModelError, match="no pictures"):
        criteria.scores(channels, "entropy")
    free = keras.Input((None, None, 3))
    with pytest.raises(ModelError, match="free size"):
        cost.of(traced(keras.Model(free, keras.layers.Conv2D(2, 1)(free))))
