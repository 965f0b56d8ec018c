"""Small TFLite models for tests, written byte by byte: no converter, no flatbuffers package.

Tables are written before what they point to, so every offset leads forward and is patched in when its
target is written.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FLOAT32, FLOAT16, INT32, UINT8, INT8 = 0, 1, 2, 3, 9
ADD, DEPTHWISE_CONV_2D, DEQUANTIZE, RESHAPE, CUSTOM, QUANTIZE = 0, 4, 6, 22, 32, 114


@dataclass
class Scalar:
    code: str
    value: float


@dataclass
class Vector:
    code: str
    values: Sequence[float]


@dataclass
class Blob:
    data: bytes
    align: int = 16


Value = Scalar | Vector | Blob | str | Mapping[int, Any] | list


class Writer:
    """Serialises nested values: a mapping is a table (field number -> value), a list a vector of tables."""

    def __init__(self, table: Mapping[int, Value], identifier: bytes) -> None:
        self.data = bytearray(4) + bytearray(identifier)
        self._patch(0, self._table(table))

    def _pad(self, align: int, ahead: int = 0) -> None:
        while (len(self.data) + ahead) % align:
            self.data.append(0)

    def _patch(self, where: int, target: int) -> None:
        struct.pack_into("<I", self.data, where, target - where)

    def _table(self, fields: Mapping[int, Value]) -> int:
        offsets, size = {}, 4
        for number, value in fields.items():
            width = struct.calcsize(value.code) if isinstance(value, Scalar) else 4
            size += -size % width
            offsets[number] = size
            size += width
        count = max(fields, default=-1) + 1
        vtable = struct.pack(
            f"<{count + 2}H", 4 + 2 * count, size, *(offsets.get(i, 0) for i in range(count))
        )
        self._pad(8, len(vtable))  # so that the table starts on a multiple of 8
        start = len(self.data)
        self.data += vtable
        at = len(self.data)
        self.data += struct.pack("<i", at - start) + bytes(size - 4)
        for number, value in fields.items():
            where = at + offsets[number]
            if isinstance(value, Scalar):
                struct.pack_into("<" + value.code, self.data, where, value.value)
            else:
                self._patch(where, self._write(value))
        return at

    def _write(self, value: Value) -> int:
        if isinstance(value, Mapping):
            return self._table(value)
        if isinstance(value, str):
            return self._bytes(value.encode(), 1, b"\0")
        if isinstance(value, Blob):
            return self._bytes(value.data, value.align)
        if isinstance(value, Vector):
            packed = struct.pack(f"<{len(value.values)}{value.code}", *value.values)
            return self._bytes(packed, struct.calcsize(value.code), count=len(value.values))
        return self._tables(value)

    def _bytes(self, data: bytes, align: int, end: bytes = b"", count: int | None = None) -> int:
        self._pad(max(align, 4), 4)
        at = len(self.data)
        self.data += struct.pack("<I", len(data) if count is None else count) + data + end
        return at

    def _tables(self, tables: Sequence[Mapping[int, Value]]) -> int:
        at = self._bytes(bytes(4 * len(tables)), 4, count=len(tables))
        for index, table in enumerate(tables):
            self._patch(at + 4 + 4 * index, self._table(table))
        return at


@dataclass
class T:
    """A tensor; ``data`` makes it a constant, ``quant`` is (scale, zero point)."""

    name: str
    shape: Sequence[int]
    type: int = FLOAT32
    quant: tuple[float, int] | None = None
    data: bytes = b""
    signature: Sequence[int] | None = None


@dataclass
class Op:
    """An operator; ``options`` is (union type, table)."""

    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: tuple[int, Mapping[int, Any]] | None = None
    custom: str = ""


@dataclass
class Model:
    """A model with one graph; the fields are those of the schema as far as tests need them."""

    tensors: Sequence[T]
    inputs: Sequence[int]
    outputs: Sequence[int]
    ops: Sequence[Op]
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    extra: Mapping[int, Any] = field(default_factory=dict)

    def write(self) -> bytes:
        constants = [tensor.data for tensor in self.tensors if tensor.data]
        places = iter(range(1, len(constants) + 1))
        buffers = [b"", *constants, *self.metadata.values()]
        codes = list(dict.fromkeys((op.code, op.custom) for op in self.ops))
        graph = {
            0: [_tensor(tensor, next(places) if tensor.data else 0) for tensor in self.tensors],
            1: Vector("i", self.inputs),
            2: Vector("i", self.outputs),
            3: [_op(op, codes.index((op.code, op.custom))) for op in self.ops],
            4: "main",
        }
        model: dict[int, Any] = {
            0: Scalar("I", 3),
            1: [_code(code, custom) for code, custom in codes],
            2: [graph],
            3: "written by a test",
            4: [{0: Blob(data)} if data else {} for data in buffers],
        }
        if self.metadata:
            first = len(constants) + 1
            model[6] = [{0: name, 1: Scalar("I", first + i)} for i, name in enumerate(self.metadata)]
        return bytes(Writer({**model, **self.extra}, b"TFL3").data)


def _code(code: int, custom: str) -> dict[int, Any]:
    table: dict[int, Any] = {0: Scalar("b", min(code, 127)), 2: Scalar("i", 1), 3: Scalar("i", code)}
    return {**table, 1: custom} if custom else table


def _tensor(tensor: T, buffer: int) -> dict[int, Any]:
    table: dict[int, Any] = {
        0: Vector("i", tensor.shape),
        1: Scalar("b", tensor.type),
        2: Scalar("I", buffer),
        3: tensor.name,
    }
    if tensor.quant:
        table[4] = {2: Vector("f", tensor.quant[:1]), 3: Vector("q", tensor.quant[1:])}
    if tensor.signature is not None:
        table[7] = Vector("i", tensor.signature)
    return table


def _op(op: Op, index: int) -> dict[int, Any]:
    table: dict[int, Any] = {0: Scalar("I", index), 1: Vector("i", op.inputs), 2: Vector("i", op.outputs)}
    if op.options:
        table |= {3: Scalar("B", op.options[0]), 4: op.options[1]}
    return table


def identity(
    shape: Sequence[int] = (1, 4, 4, 3),
    type: int = FLOAT32,
    quant: tuple[float, int] | None = None,
    signature: Sequence[int] | None = None,
    **more: Any,
) -> Model:
    """A picture in, the same picture out (as a RESHAPE to its own shape)."""
    tensors = [
        T("image", shape, type, quant, signature=signature),
        T("shape", (len(shape),), INT32, data=struct.pack(f"<{len(shape)}i", *shape)),
        T("out", shape, type, quant, signature=signature),
    ]
    return Model(tensors, [0], [2], [Op(RESHAPE, (0, 1), (2,))], **more)


def quantizer(scale: float, zero_point: int, type: int = UINT8, size: int = 16) -> Model:
    """float32 in; its quantised values, and those dequantised again, out."""
    shape = (1, size, 1, 1)
    tensors = [
        T("real", shape),
        T("q", shape, type, (scale, zero_point)),
        T("back", shape),
    ]
    return Model(tensors, [0], [1, 2], [Op(QUANTIZE, (0,), (1,)), Op(DEQUANTIZE, (1,), (2,))])


def half_weights(addend: float, shape: Sequence[int] = (1, 4, 4, 3)) -> Model:
    """float32 in; plus a float16 constant, out."""
    tensors = [
        T("image", shape),
        T("half", (1,), FLOAT16, data=struct.pack("<e", addend)),
        T("weight", (1,)),
        T("sum", shape),
    ]
    return Model(tensors, [0], [3], [Op(DEQUANTIZE, (1,), (2,)), Op(ADD, (0, 2), (3,), (11, {}))])


def crashers() -> dict[str, Model]:
    """Well-formed models that crash one interpreter or the other, by the interpreter's name."""
    q = (0.5, 0)
    strided = [  # a stride of 0: tflite-runtime 2.14 divides by it (on x86 that is a signal)
        T("image", (1, 8, 8, 3), INT8, q),
        T("filter", (1, 3, 3, 3), INT8, q, data=bytes(27)),
        T("bias", (3,), INT32, (0.25, 0), data=bytes(12)),
        T("out", (1, 4, 4, 3), INT8, q),
    ]
    strides = {1: Scalar("i", 1), 2: Scalar("i", 0), 3: Scalar("i", 1)}
    oversized = [  # a constant said to be much larger than its bytes: ai-edge-litert 2.3 reads on behind it
        T("image", (1, 2**24, 1, 1)),
        T("half", (1,), FLOAT16, data=bytes(2)),
        T("weight", (1, 2**24, 1, 1)),
        T("sum", (1, 2**24, 1, 1)),
    ]
    return {
        "tflite-runtime": Model(strided, [0], [3], [Op(DEPTHWISE_CONV_2D, (0, 1, 2), (3,), (2, strides))]),
        "litert": Model(oversized, [0], [3], [Op(DEQUANTIZE, (1,), (2,)), Op(ADD, (0, 2), (3,), (11, {}))]),
    }
