"""Multiply-accumulates and parameters, against published counts and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from converters import graph, macs
from converters.graph import ModelGraph, Operator, TensorNode
from edgecam.errors import ModelError

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


def model(name: str, shapes: list[tuple[int, ...]], constants: tuple[int, ...] = (1,)) -> ModelGraph:
    """One operator; the last shape is its output's."""
    tensors = tuple(
        TensorNode(n, f"t{n}", shape, "float32", n, n in constants, (), ()) for n, shape in enumerate(shapes)
    )
    last = len(shapes) - 1
    return ModelGraph(tensors, (Operator(0, name, tuple(range(last)), (last,)),), (0,), (last,))


@pytest.mark.parametrize(
    ("name", "shapes", "wanted"),
    [
        ("CONV_2D", [(1, 8, 8, 3), (16, 3, 3, 3), (1, 4, 4, 16)], 4 * 4 * 16 * 3 * 3 * 3),
        ("CONV_2D", [(1, 8, 8, 4), (8, 3, 3, 2), (1, 8, 8, 8)], 8 * 8 * 8 * 3 * 3 * 2),  # two groups
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 3), (1, 5, 5, 6), (1, 8, 8, 6)], 8 * 8 * 6 * 25),
        ("FULLY_CONNECTED", [(1, 64), (10, 64), (1, 10)], 640),
        ("BATCH_MATMUL", [(1, 3, 4, 5), (1, 3, 5, 6), (1, 3, 4, 6)], 3 * 4 * 5 * 6),
        ("BATCH_MATMUL", [(1, 3, 4, 5), (1, 3, 6, 5), (1, 3, 4, 6)], 3 * 4 * 5 * 6),  # second transposed
        ("ADD", [(1, 8), (1, 8), (1, 8)], 0),
    ],
)
def test_one_operator(name: str, shapes: list[tuple[int, ...]], wanted: int) -> None:
    assert macs.of_graph(model(name, shapes)).macs == wanted


def test_a_transposed_convolution_counts_its_input() -> None:
    shapes = [(4,), (8, 2, 2, 16), (1, 5, 5, 16), (1, 10, 10, 8)]
    assert macs.of_graph(model("TRANSPOSE_CONV", shapes)).macs == 5 * 5 * 16 * 8 * 2 * 2


def test_parameters_are_floats_and_quantised_numbers_counted_once() -> None:
    def node(n: int, dtype: str, buffer: int, scales: tuple[float, ...] = ()) -> TensorNode:
        return TensorNode(n, f"t{n}", (10,), dtype, buffer, True, scales, (0,) * len(scales))

    tensors = (
        node(0, "float32", 1),
        node(1, "int8", 2, (0.1,)),
        node(2, "int32", 3),  # a shape
        node(3, "float32", 1),  # the same values under another name
        node(4, "float32", 4),  # nobody's
    )
    ops = (Operator(0, "ADD", (0, 1), (9,)), Operator(1, "RESHAPE", (3, 2), (9,)))
    assert macs.of_graph(ModelGraph(tensors, ops, (), ())).parameters == 20


def test_weights_behind_a_dequantize() -> None:
    """float16 files unpack their weights before they use them."""
    tensors = (
        TensorNode(0, "half", (4, 4), "float16", 1, True, (), ()),
        TensorNode(1, "full", (4, 4), "float32", 0, False, (), ()),
        TensorNode(2, "x", (1, 4), "float32", 0, False, (), ()),
        TensorNode(3, "y", (1, 4), "float32", 0, False, (), ()),
    )
    ops = (Operator(0, "DEQUANTIZE", (0,), (1,)), Operator(1, "FULLY_CONNECTED", (2, 1, -1), (3,)))
    found = ModelGraph(tensors, ops, (2,), (3,))
    assert found.weights(1) is tensors[0]
    assert found.weights(2) is None
    assert macs.of_graph(found) == macs.Cost(16, 16, {1: 16})


@pytest.mark.parametrize(
    ("name", "millions", "thousands"), [("classify-person", 7.489664, 210.85), ("face", 30.76096, 101.39)]
)
def test_bundled_models(name: str, millions: float, thousands: float) -> None:
    """MLPerf Tiny's visual wake words network: 7.49 million."""
    cost = macs.count((MODELS / f"{name}.tflite").read_bytes())
    assert cost.macs / 1e6 == pytest.approx(millions)
    assert cost.parameters / 1e3 == pytest.approx(thousands)
    assert sum(cost.by_operator.values()) == cost.macs


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "millions", "parameters"),
    [("mobilenet_v1_0.25_128_quant", 14, 0.47), ("mobilenet_v2_1.0_224_quant", 300, 3.47)],
)
def test_published_counts(real: Path, name: str, millions: int, parameters: float) -> None:
    """The tables of the MobileNet papers' own repository."""
    cost = macs.count((real / f"{name}.tflite").read_bytes())
    assert cost.macs / 1e6 == pytest.approx(millions, rel=0.04)
    assert cost.parameters / 1e6 == pytest.approx(parameters, rel=0.01)


def test_names_and_order_of_operators() -> None:
    found = graph.read((MODELS / "detect-coco.tflite").read_bytes())
    names = [op.name for op in found.operators]
    assert names[0] == "QUANTIZE"
    assert names[-1] == "TFLite_Detection_PostProcess"
    made = {i for op in found.operators for i in op.outputs}
    assert set(found.outputs) <= made
    assert not made & {t.index for t in found.tensors if t.constant}
    assert math.prod(found.tensors[found.inputs[0]].shape) == 300 * 300 * 3


def test_not_a_model() -> None:
    with pytest.raises(ModelError):
        macs.count(b"no model at all")
