"""The simulated network against the interpreter, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters import graph
from edgecam.types import Array
from tests.converters.pruning.networks import shaken

pytestmark = pytest.mark.convert


def coloured(count: int, seed: int) -> tuple[Array, Array]:
    """Noisy pictures, uint8 (N, 16, 16, 3), each with a faint spot of one of three colours; and which."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    x = rng.integers(0, 200, (count, 16, 16, 3))
    for picture, colour in zip(x, truth, strict=True):
        row, column = rng.integers(0, 8, 2)
        picture[row : row + 8, column : column + 8, colour] += 35
    return x.astype(np.uint8), truth


def network() -> Any:
    """A small trained network with all that int8 treats in its own way."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1.0)(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = y = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Activation("hard_silu")(layers.BatchNormalization()(x))
    x = layers.Add()([layers.Conv2D(8, 1)(x), y])
    x = layers.Concatenate()([layers.MaxPooling2D()(x), layers.Conv2D(4, 3, 2, "same", activation="relu")(x)])
    x = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Softmax(name="scores")(layers.Dense(3, name="logits")(x)))
    x, truth = coloured(1500, 1)
    model.compile(keras.optimizers.AdamW(0.01), keras.losses.SparseCategoricalCrossentropy())
    model.fit(x, truth, batch_size=64, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained() -> Any:
    return network()


def converted(model: Any, learnt: Any = None, task: str = "classify") -> bytes:
    """The int8 file, calibrated on some pictures; with ranges where they are given."""
    from converters import recipes, tfconvert
    from converters.qat import simulate
    from converters.source import Source

    marked = model if learnt is None else simulate.for_converter(model, learnt)
    source = Source(
        lambda image: marked(image, training=False),
        (16, 16, 3),
        ((1, 3),),
        "softmax",
        "",
        (),
        0,
        "keras",
        marked,
    )
    return tfconvert.convert(
        source, recipes.quantization("int8"), task, coloured(32, 2)[0].astype(np.float32)
    )


def answers(data: bytes, x: Array) -> Array:
    """uint8 (N, 3), as the device gives them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    out = []
    for picture in x:
        interpreter.set_tensor(taken, picture[None])
        interpreter.invoke()
        out.append(interpreter.get_tensor(given)[0])
    return np.array(out)


def right(scores: Any, truth: Array) -> float:
    return float((np.asarray(scores).argmax(1) == truth).mean())


def test_the_simulation_is_what_the_interpreter_computes(trained: Any) -> None:
    from converters.qat import folding, simulate
    from converters.training import heads

    folded = folding.fold(heads.logits(trained))
    model = simulate.simulated(folded)
    simulate.watch(model, [coloured(64, 3)[0]])
    x, _ = coloured(1000, 4)
    simulated = np.asarray(model(x.astype(np.float32)))
    low, high = simulate.ranges(model)["logits"]
    device = answers(converted(folded, simulate.ranges(model), task=""), x)
    scale = (high - low) / 255
    quanta = np.abs(simulated / scale + np.rint(-low / scale) - device)
    assert quanta.max() < 3.5  # one or two of a layer's, through six layers
    assert (quanta < 1.5).mean() > 0.9
    assert (quanta < 2.5).mean() > 0.99
    assert (simulated.argmax(1) == device.argmax(1)).mean() >= 0.99
    whole = np.asarray(heads.logits(trained)(x.astype(np.float32)))
    assert np.abs(simulated - whole).mean() > scale / 4  # it does round


def test_the_file_has_the_ranges_that_were_learnt(trained: Any) -> None:
    from converters.qat import folding, simulate

    folded = folding.fold(trained)
    model = simulate.simulated(folded)
    simulate.watch(model, [coloured(8, 3)[0]])
    learnt = {name: (2 * low, 3 * high) for name, (low, high) in simulate.ranges(model).items()}
    learnt["image"] = (0.0, 255.0)
    found = graph.read(converted(folded, learnt))
    scales = [tensor.scales[0] for tensor in found.tensors if len(tensor.scales) == 1 and not tensor.constant]
    for name, (low, high) in learnt.items():
        assert min(abs(scale / ((high - low) / 255) - 1) for scale in scales) < 0.01, name


def test_gradients_go_straight_through() -> None:
    import keras
    import tensorflow as tf

    from converters.qat.layers import ROUNDING, Range

    rng = np.random.default_rng(5)
    x = tf.constant(rng.normal(size=(2, 6, 6, 4)), tf.float32)
    for kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        size = () if kind == "DepthwiseConv2D" else (5,)
        more = {"kernel_size": 3} if kind != "Dense" else {}
        plain, rounding = (made(*size, **more) for made in (getattr(keras.layers, kind), ROUNDING[kind]))
        plain.build(x.shape)
        rounding.build(x.shape)
        rounding.set_weights(plain.get_weights())
        slopes = []
        for layer in (plain, rounding):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(layer(x))
            slopes.append(tape.gradient(total, layer.trainable_variables[0].value))
        np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-5)
        assert 0 < np.abs(plain(x) - rounding(x)).max() < 0.2
        grid = np.asarray(rounding.int8_kernel())
        axis = rounding.kernel_axis
        bound = np.abs(plain.get_weights()[0]).max(
            tuple(n for n in range(grid.ndim) if n != axis), keepdims=True
        )
        np.testing.assert_allclose(grid / bound * 127, np.rint(grid / bound * 127), atol=1e-3)
    layer = Range()
    layer.build((3,))
    layer.low.assign(-1.0)
    layer.high.assign(1.0)
    values = tf.Variable([-3.0, 0.5, 3.0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(values))
    assert tape.gradient(total, values).numpy().tolist() == [0, 1, 0]


def test_ranges_follow_the_training_and_hold_zero() -> None:
    from converters.qat.layers import Range

    layer = Range(momentum=0.5)
    layer(np.array([2.0, 6.0], np.float32), training=True)
    assert layer.limits() == (0, 6)
    layer(np.array([-4.0, 10.0], np.float32), training=True)
    assert layer.limits() == (-2, 8)
    before = layer.limits()
    assert layer(np.array([-9.0, 99.0], np.float32), training=False).numpy().tolist() == pytest.approx(
        [-2, 8], abs=0.04
    )
    assert layer.limits() == before
    silent = Range()
    assert silent(np.zeros(3, np.float32), training=True).numpy().tolist() == [0, 0, 0]


def hostile(model: Any) -> Any:
    """The same function, with channels of very unequal range between the layers: what one scale for a whole
    tensor cannot hold (Nagel et al., 2019). Only for layers ended by a plain ReLU."""
    from converters.qat import folding

    folded = folding.fold(model)
    rng = np.random.default_rng(8)
    dense = [layer for layer in folded.layers if type(layer).__name__ == "Dense"]
    kernel, bias = dense[0].get_weights()
    factor = np.exp(rng.uniform(-4.0, 4.0, len(bias))).astype(np.float32)
    dense[0].set_weights([kernel * factor, bias * factor])
    kernel, bias = dense[1].get_weights()
    dense[1].set_weights([kernel / factor[:, None], bias])
    return folded


def test_half_of_what_int8_loses_is_won_back(trained: Any) -> None:
    import keras

    from converters.qat import simulate

    model = hostile(trained)
    x, truth = coloured(1000, 6)
    whole = right(model(x.astype(np.float32)), truth)
    assert whole == right(trained(x.astype(np.float32)), truth) > 0.8
    lost = right(answers(converted(model), x), truth)
    network = simulate.simulated(model, momentum=0.9)
    learn, learn_truth = coloured(1500, 7)
    simulate.watch(network, [learn[:64]])
    network.compile(keras.optimizers.AdamW(0.002), keras.losses.SparseCategoricalCrossentropy())
    network.fit(learn, learn_truth, batch_size=64, epochs=4, verbose=0)
    learnt = simulate.ranges(network)
    won = right(answers(converted(simulate.plain(network, model), learnt), x), truth)
    assert lost < whole - 0.05, (whole, lost)
    assert won - lost >= 0.5 * (whole - lost), (whole, lost, won)


def test_a_shaken_network_keeps_its_names_when_it_is_saved(tmp_path: Any) -> None:
    import keras

    from converters import layergraph
    from converters.qat import folding, places
    from converters.training import networks

    folded = folding.fold(shaken(networks.build("mobilenet_v3", 3, width=0.25)))
    folded.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    first, second = (places.names(layergraph.read(model)) for model in (folded, again))
    assert list(first.values()) == list(second.values())
