"""One graph of a model file, verified: the part of :mod:`edgecam.tflite` that walks tensors and operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecam.flatbuffer import Table, damaged
from edgecam.flexbuffer import read_map

SSD_OP = "TFLite_Detection_PostProcess"
MAX_TENSOR = 2**29  # bytes; the largest activation of a camera model is a few MB
MAX_SCALE = 1e9  # kernels turn scales into fixed-point numbers and abort where that overflows

# TensorType -> (numpy's name, bits of one element)
TYPES = {
    0: ("float32", 32),
    1: ("float16", 16),
    2: ("int32", 32),
    3: ("uint8", 8),
    4: ("int64", 64),
    6: ("bool", 8),
    7: ("int16", 16),
    8: ("complex64", 64),
    9: ("int8", 8),
    10: ("float64", 64),
    12: ("uint64", 64),
    15: ("uint32", 32),
    16: ("uint16", 16),
    17: ("int4", 4),
    18: ("bfloat16", 16),
}

# Builtin options that hold offsets themselves: type -> (field, bytes of one element). The other options
# hold scalars only, which Table has checked.
_VECTORS_IN_OPTIONS = {
    3: ((1, 4), (2, 4)),
    17: ((0, 4),),
    30: ((0, 4),),
    111: ((0, 1), (1, 1)),
    115: ((0, 4),),
}
_ZERO_POINTS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1)}
_CUSTOM = 32
# Recurrent operators, whose second input may be left out (-1); elsewhere only what comes after it may.
_RECURRENT = frozenset({16, 24, 35, 44, 46, 52})


class OpCode(NamedTuple):
    """What an operator is: its number in the schema, and its name if it is a custom one."""

    builtin: int
    custom: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the file describes it.

    Attributes:
        name: its name.
        shape: its shape; may be () where the interpreter computes it.
        signature: the same with -1 for what may vary.
        dtype: numpy's name of its type, "" for one numpy has not.
        scale: quantisation scale, 0.0 where there is none or one per channel.
        zero_point: quantisation zero point.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


def opcode(table: Table) -> OpCode:
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    name = table.string(1)
    if code == _CUSTOM and not name:
        damaged("custom operator without a name")
    return OpCode(code, name if code == _CUSTOM else "")


def check_indices(indices: Sequence[int], count: int, what: str, optional: bool = False) -> None:
    lowest = -1 if optional else 0
    for index in indices:
        if not lowest <= index < count:
            damaged(f"{what} {index} of {count}")


class Graph:
    """One verified graph: its tensors, inputs, outputs, and the operator codes in use."""

    def __init__(self, table: Table, buffers: Sequence[memoryview], codes: Sequence[OpCode]) -> None:
        self.tensors = [_tensor(entry, buffers) for entry in table.tables(0)]
        self.inputs = table.integers(1)
        self.outputs = table.integers(2)
        check_indices(self.inputs, len(self.tensors), "input")
        check_indices(self.outputs, len(self.tensors), "output")
        self.ssd_outputs: tuple[int, ...] = ()
        self.ssd_options: dict[str, int | float] = {}
        # What may not be written (again): inputs, constants, and what an earlier operator has made.
        self._made = {i for i, entry in enumerate(table.tables(0)) if len(buffers[entry.integer(2, "I")])}
        self._made.update(self.inputs)
        self._awaited: set[int] = set()
        self.used = [self._operator(entry, codes) for entry in table.tables(3)]
        table.string(4)

    def _operator(self, table: Table, codes: Sequence[OpCode]) -> int:
        code = table.integer(0, "I")
        check_indices((code,), len(codes), "operator code")
        count = len(self.tensors)
        inputs = table.integers(1)
        check_indices(inputs, count, "operator input", optional=True)
        what = codes[code]
        first = 1 if what.custom or what.builtin in _RECURRENT else 2
        check_indices(inputs[:first], count, "operator input")
        outputs = table.integers(2)
        check_indices(outputs, count, "operator output")
        if len(set(outputs) - self._made) < len(outputs):
            damaged(f"tensors {outputs} are written twice")
        self._awaited.update(set(inputs) - self._made)
        if not self._awaited.isdisjoint(outputs):
            damaged(f"tensors {outputs} are read before they are written")
        self._made.update(outputs)
        check_indices(table.integers(8), count, "intermediate tensor", optional=True)
        options = table.table(4)
        if options is not None:
            for number, width in _VECTORS_IN_OPTIONS.get(table.integer(3, "B"), ()):
                options.vector(number, width)
        table.table(12)
        custom = table.blob(5)
        if what.custom == SSD_OP and custom is not None:
            self.ssd_options = read_map(bytes(custom))
        if what.custom == SSD_OP and len(outputs) == 4 and set(outputs) <= set(self.outputs):
            self.ssd_outputs = tuple(self.outputs.index(tensor) for tensor in outputs)
        table.vector(7, 1)
        end = table.integer(9, "Q") + table.integer(10, "Q")
        if end > len(table.data):
            damaged(f"custom options end at {end}")
        return code


def _tensor(table: Table, buffers: Sequence[memoryview]) -> Tensor:
    name = table.string(3)
    shape = table.integers(0)
    signature = table.integers(7)
    if any(n < 0 for n in shape) or any(n < -1 for n in signature):
        damaged(f"shape {shape} of tensor {name!r}")
    dtype, bits = TYPES.get(table.integer(1, "b"), ("", 0))
    size = (math.prod(shape) * bits + 7) // 8
    if size > MAX_TENSOR:
        damaged(f"tensor {name!r} of shape {shape}")
    index = table.integer(2, "I")
    check_indices((index,), len(buffers), "buffer")
    sparsity = table.table(6)
    constant = len(buffers[index])
    if sparsity is None and bits and constant and constant != size:
        damaged(f"tensor {name!r} needs {size} bytes and has {constant}")
    if sparsity is not None:
        _check_sparsity(sparsity)
    for variant in table.tables(9):
        variant.integers(0)
    scale, zero_point = _quantisation(table.table(4), name, dtype, len(shape))
    return Tensor(name, shape, signature or shape, dtype, scale, zero_point)


def _quantisation(table: Table | None, name: str, dtype: str, rank: int) -> tuple[float, int]:
    if table is None:
        return 0.0, 0
    scales, zeros = table.numbers(2, "f"), table.integers(3, "q")
    for limits in (0, 1):
        table.vector(limits, 4)
    details = table.table(5)
    if details is not None and table.integer(4, "B") == 1:
        details.blob(0)
    if not all(0 <= scale < MAX_SCALE for scale in scales):
        damaged(f"scale of tensor {name!r}")
    low, high = _ZERO_POINTS.get(dtype, (-(2**31), 2**31 - 1))
    if not all(low <= zero <= high for zero in zeros):
        damaged(f"zero point of tensor {name!r}")
    if len(scales) > 1 and not 0 <= table.integer(6, "i") < max(rank, 1):
        damaged(f"quantised dimension of tensor {name!r}")
    if len(scales) != 1:
        return 0.0, 0
    return float(scales[0]), zeros[0] if zeros else 0


def _check_sparsity(table: Table) -> None:
    table.integers(0)
    table.integers(1)
    widths = {1: 4, 2: 2, 3: 1}  # Int32Vector, Uint16Vector, Uint8Vector
    for dimension in table.tables(2):
        for kind, values in ((2, 3), (4, 5)):
            vector = dimension.table(values)
            if vector is not None:
                vector.vector(0, widths.get(dimension.integer(kind, "B"), 4))
