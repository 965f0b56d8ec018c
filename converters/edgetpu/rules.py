"""What the Edge TPU can do: the operators, and their conditions.

Source: "Model requirements" and "Supported operations" of https://coral.ai/docs/edgetpu/models-intro, for
the Edge TPU runtime 13 and later (compiler 16). Where that says that something "might" not be mapped, so
is it said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converters.edgetpu.operators import Op, Tensor

MAX_SOFTMAX = 16_000
_EIGHT_BIT = ("int8", "uint8")

Rule = Callable[[Op], str]


def problem(op: Op) -> str:
    """Why the Edge TPU cannot run an operator; "" if it can, by what is documented."""
    rule = RULES.get(op.name)
    if rule is None:
        return "operator not supported"
    return _parameters(op) or _tensors(op) or rule(op)


def doubt(op: Op) -> str:
    """Why an operator that is supported may stay on the CPU all the same; "" for none."""
    return DOUBTS.get(op.name, "")


def _tensors(op: Op) -> str:
    for tensor in op.moving:
        if tensor.node.dtype not in _EIGHT_BIT:
            return f"works on {tensor.node.dtype or 'an unknown type'}, not on 8-bit integers"
        if not tensor.node.quantised:
            return "works on integers that are not quantised"
        if tensor.dynamic:
            return "works on a tensor whose size is not fixed (a batch of any size?)"
        if max(tensor.shape[:-3], default=1) > 1:
            return "works on a tensor with more than three dimensions larger than 1"
    return ""


def _parameters(op: Op) -> str:
    """Weights and biases must be constants, and weights of 8 bits."""
    if op.name not in _WEIGHTED:
        return ""
    weights, *bias = op.inputs[_WEIGHTED[op.name]], op.input(_WEIGHTED[op.name] + 1)
    if weights is None or not weights.constant:
        return "its weights are not constant"
    if weights.node.dtype not in _EIGHT_BIT:
        return f"its weights are {weights.node.dtype or 'of an unknown type'}, not 8-bit integers"
    if op.name != "TRANSPOSE_CONV" and any(b is not None and not b.constant for b in bias):
        return "its bias is not constant"
    return ""


_WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}


def _anything(op: Op) -> str:
    return ""


def _fused(number: int) -> Rule:
    """No fused activation in that field of the options."""
    return lambda op: "has a fused activation" if op.option(number) else ""


def _dilation(first: int) -> Rule:
    """The same dilation in x and y, in two neighbouring fields."""

    def rule(op: Op) -> str:
        x, y = op.option(first, "i", 1), op.option(first + 1, "i", 1)
        return "" if x == y else f"is dilated by {x} in x and by {y} in y"

    return rule


def _concatenation(op: Op) -> str:
    if op.option(1):
        return "has a fused activation"
    constants = [tensor for tensor in op.inputs if tensor is not None and tensor.constant]
    if constants and len(op.inputs) != 2:
        return "has a constant among more than two inputs"
    if any(not _zero(tensor) for tensor in constants):
        return "appends a constant that is not all zero"
    return ""


def _zero(tensor: Tensor) -> bool:
    values, zeros = tensor.integers(), tensor.node.zero_points
    return values is not None and set(values) <= {zeros[0] if zeros else 0}


def _fully_connected(op: Op) -> str:
    if op.option(1):
        return "has weights in another than the default format"
    return "" if op.outputs[0].outer == 1 else "has an output of more than one dimension"


def _softmax(op: Op) -> str:
    tensor = op.input(0)
    if tensor is None or tensor.outer != 1:
        return "has an input of more than one dimension"
    return "" if tensor.shape[-1] <= MAX_SOFTMAX else f"has more than {MAX_SOFTMAX:,} elements"


def _axes(op: Op) -> set[int] | None:
    """The axes of a reduction, counted from the front; None if not constant."""
    axes, tensor = op.input(1), op.input(0)
    values = None if axes is None else axes.integers()
    if values is None or tensor is None:
        return None
    return {value % len(tensor.shape) for value in values}


def _no_batch(op: Op) -> str:
    axes = _axes(op)
    if axes is None:
        return "has axes that are not constant"
    return "works along the batch" if 0 in axes else ""


def _mean(op: Op) -> str:
    axes, tensor = _axes(op), op.input(0)
    wrong = _no_batch(op)
    if wrong or axes is None or tensor is None:
        return wrong
    if len(tensor.shape) - 1 in axes and tensor.shape[-1] % 4:
        return "is taken over channels, whose number is no multiple of 4"
    return ""


def _pack(op: Op) -> str:
    return "works along the batch" if op.option(1, "i") == 0 else ""


def _pad(op: Op) -> str:
    table = op.input(1)
    values = None if table is None else table.integers()
    if values is None:
        return "has widths that are not constant"
    return "pads the batch" if any(values[:2]) else ""


def _prelu(op: Op) -> str:
    alpha = op.input(1)
    if alpha is None or not alpha.constant:
        return "its slopes are not constant"
    return "" if alpha.outer == 1 else "has slopes of more than one dimension (Keras: shared_axes=[1, 2])"


def _resize(op: Op) -> str:
    tensor = op.input(0)
    return "" if tensor is not None and len(tensor.shape) in (3, 4) else "has an input that is no picture"


def _split(op: Op) -> str:
    axis = op.input(0)
    values = None if axis is None else axis.integers()
    if values is None:
        return "has an axis that is not constant"
    tensor = op.input(1)
    rank = len(tensor.shape) if tensor is not None else 1
    return "works along the batch" if values[0] % rank == 0 else ""


def _strided_slice(op: Op) -> str:
    strides = op.input(3)
    values = None if strides is None else strides.integers()
    if values is None:
        return "has strides that are not constant"
    if set(values) != {1}:
        return "has strides other than 1"
    return "uses an ellipsis or a new axis" if op.option(2, "i") or op.option(3, "i") else ""


RULES: Mapping[str, Rule] = {
    "ADD": _anything,
    "AVERAGE_POOL_2D": _fused(5),
    "CONCATENATION": _concatenation,
    "CONV_2D": _dilation(4),
    "DEPTHWISE_CONV_2D": _dilation(5),
    "EXPAND_DIMS": _anything,
    "FULLY_CONNECTED": _fully_connected,
    "L2_NORMALIZATION": _anything,
    "LOGISTIC": _anything,
    "MAXIMUM": _anything,
    "MAX_POOL_2D": _fused(5),
    "MEAN": _mean,
    "MINIMUM": _anything,
    "MUL": _anything,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _anything,
    "REDUCE_MAX": _no_batch,
    "REDUCE_MIN": _no_batch,
    "RELU": _anything,
    "RELU6": _anything,
    "RELU_N1_TO_1": _anything,
    "RESHAPE": _anything,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RSQRT": _anything,
    "SLICE": _anything,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _anything,
    "SPLIT": _split,
    "SQUARED_DIFFERENCE": _anything,
    "SQUEEZE": _anything,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _anything,
    "SUM": _no_batch,
    "TANH": _anything,
    "TRANSPOSE": _anything,
    "TRANSPOSE_CONV": _anything,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _anything,
}

DOUBTS = {
    "RESHAPE": "may stay on the CPU if the tensor is large",
    "RESIZE_BILINEAR": "may stay on the CPU, depending on the sizes",
    "RESIZE_NEAREST_NEIGHBOR": "may stay on the CPU, depending on the sizes",
}
