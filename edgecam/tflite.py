"""What a ``.tflite`` file holds, read and verified without an interpreter.

The interpreter follows the file's offsets and indices unchecked, so a damaged model can crash the process.
:func:`parse` walks everything the interpreter walks and refuses what leads outside the file. What is
well-formed but senseless (a kernel that divides by a zero in its options) is beyond it:
:mod:`edgecam.engines.probe` tries unknown files in a child process.

Source: the schema ``tensorflow/lite/schema/schema.fbs``, version 3; field numbers below are its.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.flatbuffer import Table, damaged, root

IDENTIFIER = b"TFL3"
EDGETPU_OP = "edgetpu-custom-op"
SSD_OP = "TFLite_Detection_PostProcess"
MAX_FILE = 2**31 - 1  # flatbuffer offsets are 32 bits wide
MAX_TENSOR = 2**29  # bytes; the largest activation of a camera model is a few MB

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
_CUSTOM = 32

_OTHER_FORMATS = {
    b"\x89HDF": "an HDF5 file (a Keras model?)",
    b"PK\x03\x04": "a zip file (a .keras model?)",
    b"version https://git-lfs": "a Git LFS pointer, not the model itself",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"\x1f\x8b": "a gzip file",
    b"\x08\x07\x12": "an ONNX model",
}


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


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A verified model file.

    Attributes:
        data: the file's bytes.
        inputs: of the main graph.
        outputs: of the main graph.
        operators: number of operators in all graphs.
        custom_ops: names of the custom operators in use, in order.
        ssd_outputs: which of ``outputs`` the four of the main graph's ``TFLite_Detection_PostProcess`` are
            (boxes, classes, scores, count); empty if there is no such operator or they are not outputs.
        metadata: name -> bytes of the metadata buffers.
        description: free text of the converter.
    """

    data: bytes = field(repr=False)
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: int
    custom_ops: tuple[str, ...]
    metadata: Mapping[str, memoryview] = field(repr=False)
    ssd_outputs: tuple[int, ...] = ()
    description: str = ""

    @property
    def compiled_for_edgetpu(self) -> bool:
        """Whether any part of it runs on an Edge TPU only."""
        return EDGETPU_OP in self.custom_ops


def load(path: Path) -> ModelFile:
    """Read and verify a model file.

    Raises:
        ModelError: unreadable, not a TFLite model, truncated or corrupted; the message names the file.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise ModelError(f"{path} {what}", "name a .tflite file, or see: edgecam model list")
        if path.stat().st_size > MAX_FILE:
            raise ModelError(f"{path} is over 2 GiB", "a TFLite model is smaller than that")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "check the file's permissions") from error
    try:
        return parse(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", error.remedy) from error


def parse(data: bytes) -> ModelFile:
    """Verify a model in memory.

    Raises:
        ModelError: not a TFLite model, truncated or corrupted.
    """
    if data[4:8] != IDENTIFIER:
        _refuse(data)
    model = root(data, IDENTIFIER)
    if model.integer(0, "I") != 3:
        raise ModelError(f"schema version {model.integer(0, 'I')}, only 3 is known", "convert the model anew")
    buffers = [_buffer(data, table) for table in model.tables(4)]
    codes = [_opcode(table) for table in model.tables(1)]
    graphs = [_Graph(table, buffers, codes) for table in model.tables(2)]
    if not graphs:
        damaged("no graph")
    for signature in model.tables(7):
        _check_signature(signature, graphs)
    _check_indices(model.integers(5), len(buffers), "metadata buffer")
    main = graphs[0]
    used = dict.fromkeys(codes[index] for graph in graphs for index in graph.used)
    return ModelFile(
        data=data,
        inputs=tuple(main.tensors[i] for i in main.inputs),
        outputs=tuple(main.tensors[i] for i in main.outputs),
        operators=sum(len(graph.used) for graph in graphs),
        custom_ops=tuple(name for name in used if name),
        metadata=_metadata(model, buffers),
        ssd_outputs=main.ssd_outputs,
        description=model.string(3),
    )


def _refuse(data: bytes) -> None:
    if not data:
        raise ModelError("the file is empty", "download or copy it again")
    for magic, what in _OTHER_FORMATS.items():
        if data.startswith(magic):
            raise ModelError(f"not a TFLite model but {what}", "convert or download the .tflite file")
    raise ModelError("not a TFLite model (no TFL3 mark)", "name a .tflite file")


def _metadata(model: Table, buffers: Sequence[memoryview]) -> dict[str, memoryview]:
    found = {}
    for entry in model.tables(6):
        index = entry.integer(1, "I")
        _check_indices((index,), len(buffers), "metadata buffer")
        found[entry.string(0)] = buffers[index]
    return found


def _buffer(data: bytes, table: Table) -> memoryview:
    inside = table.blob(0)
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if offset <= 1:  # 0 and 1 mean: not outside the flatbuffer
        return memoryview(b"") if inside is None else inside
    if offset + size > len(data):
        damaged(f"buffer of {size} bytes at {offset}, the file ends at {len(data)}")
    return memoryview(data)[offset : offset + size]


def _opcode(table: Table) -> str:
    """A custom operator's name, "" for a builtin one."""
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    name = table.string(1)
    if code == _CUSTOM and not name:
        damaged("custom operator without a name")
    return name if code == _CUSTOM else ""


def _check_indices(indices: Sequence[int], count: int, what: str, optional: bool = False) -> None:
    lowest = -1 if optional else 0
    for index in indices:
        if not lowest <= index < count:
            damaged(f"{what} {index} of {count}")


def _check_signature(table: Table, graphs: Sequence[_Graph]) -> None:
    table.string(2)
    index = table.integer(4, "I")
    _check_indices((index,), len(graphs), "graph")
    for role in (0, 1):
        for entry in table.tables(role):
            entry.string(0)
            _check_indices((entry.integer(1, "I"),), len(graphs[index].tensors), "signature tensor")


class _Graph:
    """One verified graph: its tensors, inputs, outputs, and the operator codes in use."""

    def __init__(self, table: Table, buffers: Sequence[memoryview], codes: Sequence[str]) -> None:
        self.tensors = [_tensor(entry, buffers) for entry in table.tables(0)]
        self.inputs = table.integers(1)
        self.outputs = table.integers(2)
        _check_indices(self.inputs, len(self.tensors), "input")
        _check_indices(self.outputs, len(self.tensors), "output")
        self.ssd_outputs: tuple[int, ...] = ()
        self.used = [self._operator(entry, codes) for entry in table.tables(3)]
        table.string(4)

    def _operator(self, table: Table, codes: Sequence[str]) -> int:
        code = table.integer(0, "I")
        _check_indices((code,), len(codes), "operator code")
        count = len(self.tensors)
        inputs = table.integers(1)
        _check_indices(inputs, count, "operator input", optional=True)
        _check_indices(inputs[:1], count, "operator's first input")  # never an optional one
        outputs = table.integers(2)
        _check_indices(outputs, count, "operator output")
        if codes[code] == SSD_OP and len(outputs) == 4 and set(outputs) <= set(self.outputs):
            self.ssd_outputs = tuple(self.outputs.index(tensor) for tensor in outputs)
        _check_indices(table.integers(8), count, "intermediate tensor", optional=True)
        options = table.table(4)
        if options is not None:
            for number, width in _VECTORS_IN_OPTIONS.get(table.integer(3, "B"), ()):
                options.vector(number, width)
        table.table(12)
        table.blob(5)
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
    _check_indices((index,), len(buffers), "buffer")
    sparsity = table.table(6)
    constant = len(buffers[index])
    if sparsity is None and bits and constant and constant != size:
        damaged(f"tensor {name!r} needs {size} bytes and has {constant}")
    if sparsity is not None:
        _check_sparsity(sparsity)
    for variant in table.tables(9):
        variant.integers(0)
    scale, zero_point = _quantisation(table.table(4), name, len(shape))
    return Tensor(sys.intern(name), shape, signature or shape, dtype, scale, zero_point)


def _quantisation(table: Table | None, name: str, rank: int) -> tuple[float, int]:
    if table is None:
        return 0.0, 0
    scales, zeros = table.numbers(2, "f"), table.integers(3, "q")
    for limits in (0, 1):
        table.vector(limits, 4)
    details = table.table(5)
    if details is not None and table.integer(4, "B") == 1:
        details.blob(0)
    if not all(math.isfinite(scale) for scale in scales):
        damaged(f"scale of tensor {name!r}")
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
