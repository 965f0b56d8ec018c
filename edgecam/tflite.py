"""What a ``.tflite`` file holds, read and verified without an interpreter.

The interpreter follows the file's offsets and indices unchecked, so a damaged model can crash the process.
:func:`parse` walks everything the interpreter walks and refuses what leads outside the file. What is
well-formed but senseless (a kernel that divides by a zero in its options) is beyond it:
:mod:`edgecam.engines.probe` tries unknown files in a child process.

Source: the schema ``tensorflow/lite/schema/schema.fbs``, version 3; field numbers below are its.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.flatbuffer import Table, damaged, root
from edgecam.tflite_graph import SSD_OP as SSD_OP
from edgecam.tflite_graph import Graph, check_indices, opcode
from edgecam.tflite_graph import Tensor as Tensor

IDENTIFIER = b"TFL3"
EDGETPU_OP = "edgetpu-custom-op"
MAX_FILE = 2**31 - 1  # flatbuffer offsets are 32 bits wide

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
        ssd_options: that operator's numbers (``max_detections``, ``num_classes``, ...).
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
    ssd_options: Mapping[str, int | float] = field(default_factory=dict)
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
    codes = [opcode(table) for table in model.tables(1)]
    graphs = [Graph(table, buffers, codes) for table in model.tables(2)]
    if not graphs:
        damaged("no graph")
    for signature in model.tables(7):
        _check_signature(signature, graphs)
    check_indices(model.integers(5), len(buffers), "metadata buffer")
    main = graphs[0]
    used = dict.fromkeys(codes[index].custom for graph in graphs for index in graph.used)
    return ModelFile(
        data=data,
        inputs=tuple(main.tensors[i] for i in main.inputs),
        outputs=tuple(main.tensors[i] for i in main.outputs),
        operators=sum(len(graph.used) for graph in graphs),
        custom_ops=tuple(name for name in used if name),
        metadata=_metadata(model, buffers),
        ssd_outputs=main.ssd_outputs,
        ssd_options=main.ssd_options,
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
        check_indices((index,), len(buffers), "metadata buffer")
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


def _check_signature(table: Table, graphs: Sequence[Graph]) -> None:
    table.string(2)
    index = table.integer(4, "I")
    check_indices((index,), len(graphs), "graph")
    for role in (0, 1):
        for entry in table.tables(role):
            entry.string(0)
            check_indices((entry.integer(1, "I"),), len(graphs[index].tensors), "signature tensor")
