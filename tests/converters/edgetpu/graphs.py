"""Models of one or a few operators for the Edge TPU's rules."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tests.engines.writer import INT8, INT32, Model, Op, Scalar, T

Q = (0.5, 0)
NUMBERS = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEQUANTIZE": 6,
    "FULLY_CONNECTED": 9,
    "GELU": 150,
    "HARD_SWISH": 117,
    "LOGISTIC": 14,
    "MAX_POOL_2D": 17,
    "MEAN": 40,
    "MUL": 18,
    "PACK": 83,
    "PAD": 34,
    "PRELU": 54,
    "QUANTIZE": 114,
    "REDUCE_MAX": 82,
    "RELU": 19,
    "RESHAPE": 22,
    "RESIZE_BILINEAR": 23,
    "SOFTMAX": 25,
    "SPLIT": 49,
    "STRIDED_SLICE": 45,
    "SUM": 74,
    "TRANSPOSE": 39,
    "TRANSPOSE_CONV": 67,
}


def tensor(
    *shape: int,
    type: int = INT8,
    quant: tuple[float, int] | None = Q,
    data: bytes = b"",
    signature: Sequence[int] | None = None,
) -> T:
    return T("t", shape, type, quant, data, signature)


def weights(*shape: int) -> T:
    size = 1
    for side in shape:
        size *= side
    return tensor(*shape, data=bytes([1]) * size)


def integers(*values: int, shape: Sequence[int] | None = None) -> T:
    """A constant of int32."""
    return tensor(
        *(shape or (len(values),)), type=INT32, quant=None, data=struct.pack(f"<{len(values)}i", *values)
    )


def options(**fields: tuple[str, int]) -> tuple[int, Mapping[int, Any]]:
    """An options table: ``f3=("b", 1)`` sets field 3. Its union type does not matter to the rules."""
    return 1, {int(name[1:]): Scalar(code, value) for name, (code, value) in fields.items()}


def single(
    name: str, inputs: Sequence[T], output: T, settings: tuple[int, Mapping[int, Any]] | None = None
) -> bytes:
    """A model of one operator; inputs without data are the graph's."""
    count = len(inputs)
    feeds = [n for n, entry in enumerate(inputs) if not entry.data]
    op = Op(NUMBERS[name], tuple(range(count)), (count,), settings)
    return Model([*inputs, output], feeds, [count], [op]).write()


def chain(*names: str, first: T | None = None) -> bytes:
    """Operators of one input each, one behind the other."""
    tensors = [first or tensor(1, 4, 4, 8), *(tensor(1, 4, 4, 8) for _ in names)]
    ops = [Op(NUMBERS[name], (n,), (n + 1,)) for n, name in enumerate(names)]
    return Model(tensors, [0], [len(names)], ops).write()
