"""What a ``.tflite`` costs on any machine: multiply-accumulates and parameters, counted from the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from converters import graph
from converters.graph import ModelGraph, Operator


@dataclass(frozen=True)
class Cost:
    """
    Attributes:
        macs: multiply-accumulates of one picture, in convolutions, dense layers and matrix products.
        parameters: weights, biases and other constants of the computation (not shapes and indices).
        by_operator: index of the operator -> its multiply-accumulates, where it has any.
    """

    macs: int
    parameters: int
    by_operator: dict[int, int]


def count(data: bytes) -> Cost:
    """Cost of a model in memory.

    Raises:
        ModelError: not a TFLite model, or a damaged one.
    """
    return of_graph(graph.read(data))


def of_graph(model: ModelGraph) -> Cost:
    """Cost of a graph that has been read."""
    macs = {
        op.index: _COUNTERS[op.name](model, op)
        for op in model.operators
        if op.name in _COUNTERS and len(op.inputs) > 1
    }
    return Cost(sum(macs.values()), _parameters(model), macs)


def _parameters(model: ModelGraph) -> int:
    """Constants are floats or quantised; an int32 without a scale is a shape, an axis, an index."""
    used = {i for op in model.operators for i in op.inputs if i >= 0}
    nodes = (model.tensors[index] for index in used)
    kept = {t.buffer: t.size for t in nodes if t.constant and (t.quantised or t.dtype.startswith("float"))}
    return sum(kept.values())


def _outputs(model: ModelGraph, op: Operator) -> int:
    return model.tensors[op.outputs[0]].size


def _weights(model: ModelGraph, op: Operator) -> tuple[int, ...]:
    return model.tensors[op.inputs[1]].shape


def _conv(model: ModelGraph, op: Operator) -> int:
    """Weights (out, height, width, in); in groups ``in`` is a group's."""
    return _outputs(model, op) * math.prod(_weights(model, op)[1:])


def _depthwise(model: ModelGraph, op: Operator) -> int:
    """Weights (1, height, width, out)."""
    return _outputs(model, op) * math.prod(_weights(model, op)[1:3])


def _dense(model: ModelGraph, op: Operator) -> int:
    """Weights (out, in)."""
    return _outputs(model, op) * _weights(model, op)[-1]


def _transposed(model: ModelGraph, op: Operator) -> int:
    """Weights (out, height, width, in); each element of the third input is spread by one kernel."""
    out, *kernel, _ = _weights(model, op)
    return model.tensors[op.inputs[2]].size * out * math.prod(kernel)


def _product(model: ModelGraph, op: Operator) -> int:
    """(..., m, k) by (..., k, n); what either may be transposed, the sizes of all three give k."""
    a, b, c = (model.tensors[i].shape for i in (op.inputs[0], op.inputs[1], op.outputs[0]))
    inner = math.isqrt(math.prod(a[-2:]) * math.prod(b[-2:]) // max(math.prod(c[-2:]), 1))
    return math.prod(c) * inner


_COUNTERS: dict[str, Callable[[ModelGraph, Operator], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transposed,
    "BATCH_MATMUL": _product,
}
#: operators that multiply by weights
MULTIPLYING = frozenset(_COUNTERS)
