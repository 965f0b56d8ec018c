"""Operators with their options and constants: what the rules of the Edge TPU ask for.

Field numbers of options are those of TensorFlow Lite's schema, version 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from converters import graph
from converters.graph import TensorNode
from edgecam.flatbuffer import Table, root

_INTEGERS = {"int32": np.int32, "int64": np.int64, "int8": np.int8, "uint8": np.uint8}


@dataclass(frozen=True)
class Tensor:
    """A tensor and what its file says of it.

    Attributes:
        node: name, shape, type, scales.
        dynamic: whether its size is known only when the model runs.
        data: the bytes of a constant.
    """

    node: TensorNode
    dynamic: bool = False
    data: bytes = field(default=b"", repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    @property
    def constant(self) -> bool:
        return self.node.constant

    @property
    def outer(self) -> int:
        """Product of all dimensions but the innermost."""
        return math.prod(self.shape[:-1])

    def integers(self) -> tuple[int, ...] | None:
        """A constant's whole numbers, None for what is no constant of them."""
        kind = _INTEGERS.get(self.node.dtype)
        if kind is None or not self.constant:
            return None
        return tuple(int(value) for value in np.frombuffer(self.data, np.dtype(kind).newbyteorder("<")))


@dataclass(frozen=True)
class Op:
    """An operator.

    Attributes:
        index: its place in the graph.
        name: as in the schema (``CONV_2D``), or a custom operator's own.
        inputs: None where one is left out.
        outputs: what it makes.
        options: its options table, None if it has none.
    """

    index: int
    name: str
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    options: Table | None = None

    def option(self, number: int, code: str = "b", default: int = 0) -> int:
        """A whole number of its options."""
        return default if self.options is None else self.options.integer(number, code, default)

    def input(self, number: int) -> Tensor | None:
        return self.inputs[number] if number < len(self.inputs) else None

    @property
    def moving(self) -> list[Tensor]:
        """Inputs and outputs that are not constants."""
        return [t for t in (*self.inputs, *self.outputs) if t is not None and not t.constant]


def read(data: bytes) -> list[Op]:
    """The operators of the main graph, in order.

    Raises:
        ModelError: not a TFLite model, or a damaged one.
    """
    found = graph.read(data)
    model = root(data, b"TFL3")
    buffers = [bytes(table.blob(0) or b"") for table in model.tables(4)]
    main = next(model.tables(2))
    tensors = [
        Tensor(node, -1 in table.integers(7), buffers[node.buffer])
        for node, table in zip(found.tensors, main.tables(0), strict=True)
    ]
    return [
        Op(
            op.index,
            op.name,
            [tensors[i] if i >= 0 else None for i in op.inputs],
            [tensors[i] for i in op.outputs],
            table.table(4),
        )
        for op, table in zip(found.operators, main.tables(3), strict=True)
    ]
