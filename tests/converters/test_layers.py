"""Layers matched and their errors, on graphs made by hand and on the bundled models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters import graph, layers
from converters.graph import ModelGraph, Operator, TensorNode
from converters.inside import Grid
from converters.layers import LayerReport
from edgecam import jpeg

ROOT = Path(__file__).resolve().parent.parent.parent
PERSON = ROOT / "models" / "classify-person.tflite"
WALL = ROOT / "edgecam" / "sources" / "assets" / "wall.jpg"


def chain(*rows: tuple[str, str, int], dtype: str = "float32") -> ModelGraph:
    """Operators one after another: (operator, name of its output, its size)."""
    tensors = [TensorNode(0, "image", (1, 4), dtype, 0, False, (), ())]
    operators = []
    for n, (operator, name, size) in enumerate(rows):
        tensors.append(TensorNode(n + 1, name, (1, size), dtype, 0, False, (), ()))
        operators.append(Operator(n, operator, (n,), (n + 1,)))
    return ModelGraph(tuple(tensors), tuple(operators), (0,), (len(rows),))


def pairs(a: ModelGraph, b: ModelGraph) -> list[tuple[int, int]]:
    return [(x.index, y.index) for x, y in layers.match(a, b)]


def test_matched_by_name_though_casts_stand_between() -> None:
    a = chain(("CONV_2D", "x", 8), ("RELU", "y", 8))
    b = chain(("QUANTIZE", "q", 4), ("CONV_2D", "x", 8), ("RELU", "y", 8), ("DEQUANTIZE", "z", 8))
    assert pairs(a, b) == [(0, 1), (1, 2)]


def test_matched_by_order_where_names_differ() -> None:
    a = chain(("CONV_2D", "a", 8), ("CONV_2D", "b", 8), ("ADD", "c", 8), ("CONV_2D", "d", 4))
    b = chain(("QUANTIZE", "q", 4), ("CONV_2D", "1", 8), ("CONV_2D", "2", 8), ("CONV_2D", "4", 4))
    assert pairs(a, b) == [(0, 1), (1, 2), (3, 3)]


def test_a_name_alone_does_not_match_another_operator() -> None:
    assert pairs(chain(("CONV_2D", "a", 8)), chain(("RELU", "a", 8))) == []
    assert pairs(chain(("CONV_2D", "a", 8)), chain(("CONV_2D", "a", 4))) == []


def test_indices_are_no_layers() -> None:
    assert pairs(chain(("SHAPE", "a", 4), dtype="int32"), chain(("SHAPE", "a", 4), dtype="int32")) == []


def test_a_model_against_itself_loses_nothing_on_the_way() -> None:
    """It is int8 already, so its own values lie on its grid."""
    image = jpeg.decode(WALL.read_bytes())[:200, :300]
    found = layers.compare(PERSON, PERSON, [image])
    computing = [op for op in graph.read(PERSON.read_bytes()).operators if "QUANTIZE" not in op.name]
    assert [layer.operator for layer in found.layers] == [op.name for op in computing]
    assert {(layer.reached, layer.weights, layer.own, layer.clipped) for layer in found.layers} == {
        (None, None, None, 0.0)
    }
    assert sum(layer.macs for layer in found.layers) == 7_489_664
    assert (found.unmatched, found.worst(5)) == ((), [])
    assert LayerReport.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


def test_a_grid_rounds_and_clips() -> None:
    grid = Grid(scale=0.5, zero_point=-2, low=-128, high=127)
    values, outside = grid.nearest(np.array([0.2, 0.3, 64.5, 65.0, -63.0, -100.0]))
    assert values.tolist() == [0.0, 0.5, 64.5, 64.5, -63.0, -63.0]
    assert outside == pytest.approx(2 / 6)


def test_one_large_channel_costs_the_small_ones() -> None:
    """Rounded to whole hundreds the large channel is exact and three small ones are gone."""
    values = np.array([[[[9000.0, 3.0, 2.0, 1.0]]]])
    grid = Grid(scale=100.0, zero_point=0, low=-128, high=127)
    split, whole = layers._Sum(), layers._Sum(whole=True)
    for total in (split, whole):
        total.add(values, values, grid)
    assert split.lost == pytest.approx(0.75)
    assert whole.lost == pytest.approx(14 / (9000**2 + 14))
    assert split.signal == whole.signal == 9000**2 + 14


def test_silent_channels_do_not_count() -> None:
    total = layers._Sum()
    total.add(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]), Grid(1.0, 0, -128, 127))
    assert total.lost == 0.0
    assert layers._Sum().lost == 0.0


@pytest.mark.parametrize(
    ("name", "operator", "short"),
    [
        ("m_1/net_1/conv_relu_1/Relu6;m_1/net_1/bn_1/batchnorm/add_1", "CONV_2D", "conv_relu_1"),
        ("m_1/bn_1/batchnorm/add_1;m_1/block_3_expand_1/convolution;x", "CONV_2D", "block_3_expand_1"),
        ("m/dense_1/MatMul;m/dense_1/BiasAdd", "FULLY_CONNECTED", "dense_1"),
        ("StatefulPartitionedCall:0", "SOFTMAX", "softmax"),
        ("conv", "CONV_2D", "conv"),
    ],
)
def test_short_names(name: str, operator: str, short: str) -> None:
    assert layers.short_name(name, operator) == short
