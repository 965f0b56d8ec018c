"""Networks by name."""

from __future__ import annotations

import numpy as np
import pytest

from converters.training import networks
from edgecam.errors import UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("mobilnet_v2", {}, "did you mean 'mobilenet_v2'"),
        ("cnn", {"classes": 1}, "two classes at the least"),
        ("cnn", {"input_size": (8, 32)}, "cnn for pictures of 32x8: 16 to 1024 pixels"),
        ("plain", {"width": 0.0}, "width 0: 0.05 to 4"),
        ("squeezenet", {"widths": (8, 8)}, "takes no widths"),
        ("plain", {"depth": 20}, "takes no depth"),
        ("plain", {"activation": "tanh"}, "unknown activation 'tanh'"),
        ("plain", {"scaling": "0..2"}, "unknown scaling '0..2'"),
        ("mobilenet_v2", {"activation": "relu"}, "no other activation"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, more: dict[str, object], message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        networks.build(name, **{"classes": 3, **more})


@pytest.mark.convert
@pytest.mark.parametrize("name", networks.NAMES)
@pytest.mark.parametrize(("size", "width"), [((32, 32), 1.0), ((96, 80), 0.5)])
def test_every_network_gives_probabilities_and_keeps_a_map(
    name: str, size: tuple[int, int], width: float
) -> None:
    model = networks.build(name, 7, size, width=width, dropout=0.1)
    assert tuple(model.inputs[0].shape[1:]) == (*size, 3)
    rng = np.random.default_rng(0)
    scores = np.asarray(model.predict_on_batch(rng.integers(0, 256, (3, *size, 3)).astype(np.float32)))
    assert scores.shape == (3, 7)
    assert scores.sum(1) == pytest.approx(1, abs=1e-5)
    maps = [layer.output.shape[1:3] for layer in model.layers if len(layer.output.shape) == 4]
    assert min(maps[-1]) >= 2
    assert [layer.name for layer in model.layers][1] == "rescaling"


@pytest.mark.convert
def test_a_residual_networks_depth_is_whole_blocks() -> None:
    layers = networks.build("resnet", 3, depth=8, activation="relu6").layers
    assert sum(layer.name.endswith(("conv1", "conv2")) for layer in layers) == 6
    with pytest.raises(UsageError, match=r"resnet of 21 layers: 8, 14, 20, \.\.\."):
        networks.build("resnet", 3, depth=21)


@pytest.mark.convert
@pytest.mark.parametrize("name", ["cnn", "mobilenet_v1"])
def test_the_cost_is_that_of_the_converted_file(name: str) -> None:
    import tensorflow as tf

    from converters import macs
    from converters.quiet import quiet
    from converters.training import cost

    model = networks.build(name, 5, width=0.5)
    with quiet():
        converted = macs.count(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    assert cost.of_model(model).macs == converted.macs


@pytest.mark.convert
def test_unit_range_costs_nothing_on_the_device() -> None:
    import tensorflow as tf

    from converters import graph
    from converters.quiet import quiet

    model = networks.build("plain", 3, widths=(8, 8, 8))
    with quiet():
        converted = graph.read(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    assert converted.operators[0].name == "CONV_2D"
