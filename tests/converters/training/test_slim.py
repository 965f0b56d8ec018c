"""The backbone of a detector that is a tfjs graph with batch normalisation folded in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.errors import ModelError
from edgecam.types import Array
from tests.converters.training.pictures import Remembering

pytestmark = pytest.mark.convert
RNG = np.random.default_rng(3)
SCOPE = "FeatureExtractor/MobilenetV2/"


def slim_name(layer: str) -> str:
    """``block_3_expand`` -> ``FeatureExtractor/MobilenetV2/expanded_conv_3/expand/``."""
    ends = {"Conv1": "Conv/", "Conv_1": "Conv_1/"}
    if layer in ends:
        return SCOPE + ends[layer]
    block, part = layer.rsplit("_", 1)
    return f"{SCOPE}{block.replace('block_', 'expanded_conv_')}/{part}/"


def folded(model: Any) -> dict[str, Array]:
    """The weights of a MobileNetV2 as such a graph has them."""
    norms = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}
    out: dict[str, Array] = {}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind not in ("Conv2D", "DepthwiseConv2D"):
            continue
        norm = model.get_layer(norms.get(layer.name, f"{layer.name}_BN"))
        gamma, beta, mean, variance = norm.get_weights()
        factor = gamma / np.sqrt(variance + norm.epsilon)
        (kernel,) = layer.get_weights()
        name = slim_name(layer.name)
        out[f"{name}BatchNorm/batchnorm/sub"] = beta - mean * factor
        if kind == "Conv2D":
            out[f"{name}Conv2D/merged_input"] = kernel * factor
        else:
            out[f"{name}depthwise_weights"] = kernel
            out[f"{name}BatchNorm/batchnorm/mul"] = factor
    out["BoxPredictor_0/BoxEncodingPredictor/biases"] = np.zeros(12, np.float32)
    return out


def write(folder: Path, weights: dict[str, Array]) -> Path:
    """As a tfjs graph model; of the graph itself nobody wants to know anything here."""
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in weights.items()
    ]
    data = b"".join(np.ascontiguousarray(value, "<f4").tobytes() for value in weights.values())
    (folder / "group1-shard1of1").write_bytes(data)
    manifest = [{"paths": ["group1-shard1of1"], "weights": entries}]
    content = {"format": "graph-model", "modelTopology": {"node": []}, "weightsManifest": manifest}
    path = folder / "model.json"
    path.write_text(json.dumps(content))
    return path


def network(seed: int) -> Any:
    """A small MobileNetV2 with statistics of its own."""
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.applications.MobileNetV2(
        (64, 64, 3), alpha=0.35, weights=None, include_top=False, pooling="avg"
    )
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([RNG.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return model


def test_the_same_answers_as_before_it_was_folded(tmp_path: Path) -> None:
    from converters.training import slim, transfer

    model, other = network(1), network(2)
    carried = transfer.carry(slim.layers(write(tmp_path, folded(model))), other)
    assert (carried.shapes, carried.missing, carried.unused) == ((), (), ())
    assert len(carried.layers) == 104
    x = RNG.uniform(-1, 1, (3, 64, 64, 3)).astype(np.float32)
    wanted = model.predict(x, verbose=0)
    np.testing.assert_allclose(other.predict(x, verbose=0), wanted, rtol=1e-3, atol=1e-4)


def test_only_what_has_its_offset_is_taken(tmp_path: Path) -> None:
    from converters.training import slim

    weights = folded(network(1))
    del weights[f"{SCOPE}expanded_conv_2/expand/BatchNorm/batchnorm/sub"]
    found = slim.layers(write(tmp_path, weights))
    assert "block_2_expand" not in found
    assert len(found) == 102


def test_another_graph_has_nothing_that_fits(tmp_path: Path) -> None:
    from converters.training import networks, slim, transfer

    path = write(tmp_path, {"dense/kernel": np.zeros((2, 2), np.float32)})
    assert slim.layers(path) == {}
    with pytest.raises(ModelError, match="no layer fits mobilenet_v2"):
        transfer.carry_over(networks.build("mobilenet_v2", 3, (32, 32)), str(path), Remembering())


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    from converters.training import slim

    path = tmp_path / "model.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match="has no graph"):
        slim.layers(path)
