"""The operators of a ``.tflite`` in order, with the tensors between them; no interpreter needed.

Fields are those of TensorFlow Lite's schema, version 3 (``tensorflow/compiler/mlir/lite/schema/schema.fbs``).
:mod:`edgecam.tflite` has verified a file before; here it is only read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from edgecam.flatbuffer import Table, root
from edgecam.tflite_graph import TYPES, opcode

# BuiltinOperator, in the order of its numbers from 0.
_NUMBERED = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT
RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK
ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4
NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
"""
_NAMES = _NUMBERED.split()


@dataclass(frozen=True, slots=True)
class TensorNode:
    """A tensor of the graph.

    Attributes:
        index: its number.
        name: what the converter called it.
        shape: with 1 for a batch of any size.
        dtype: numpy's name, "" for one numpy has not.
        buffer: number of the buffer that holds it; several tensors may share one.
        constant: whether the file holds its values.
        scales: one scale, or one a channel; empty where it is not quantised.
        zero_points: as many.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def quantised(self) -> bool:
        return bool(self.scales)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator; -1 marks an input that is left out."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class ModelGraph:
    """The main graph of a model."""

    tensors: tuple[TensorNode, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def _maker(self) -> dict[int, Operator]:
        return {output: op for op in self.operators for output in op.outputs}

    def maker(self, tensor: int) -> Operator | None:
        """The operator that computes a tensor, None for inputs and constants."""
        return self._maker.get(tensor)

    def weights(self, tensor: int) -> TensorNode | None:
        """The constant behind a tensor, also where a ``DEQUANTIZE`` or ``DENSIFY`` unpacks it; else None."""
        node = self.tensors[tensor]
        while not node.constant:
            maker = self.maker(node.index)
            if maker is None or maker.name not in ("DEQUANTIZE", "DENSIFY"):
                return None
            node = self.tensors[maker.inputs[0]]
        return node


def read(data: bytes) -> ModelGraph:
    """The main graph of a model in memory.

    Raises:
        ModelError: not a TFLite model, or a damaged one.
    """
    model = root(data, b"TFL3")
    filled = [_filled(buffer) for buffer in model.tables(4)]
    names = [_name(entry) for entry in model.tables(1)]
    main = next(model.tables(2))
    tensors = tuple(_tensor(n, entry, filled) for n, entry in enumerate(main.tables(0)))
    operators = tuple(
        Operator(n, names[entry.integer(0, "I")], entry.integers(1), entry.integers(2))
        for n, entry in enumerate(main.tables(3))
    )
    return ModelGraph(tensors, operators, main.integers(1), main.integers(2))


def _name(entry: Table) -> str:
    code = opcode(entry)
    if code.custom:
        return code.custom
    return _NAMES[code.builtin] if code.builtin < len(_NAMES) else f"OPERATOR_{code.builtin}"


def _filled(buffer: Table) -> bool:
    return bool(buffer.blob(0)) or buffer.integer(1, "Q") > 1


def _tensor(index: int, table: Table, filled: list[bool]) -> TensorNode:
    quantisation = table.table(4)
    scales = tuple(map(float, quantisation.numbers(2, "f"))) if quantisation else ()
    zeros = quantisation.integers(3, "q") if quantisation else ()
    buffer = table.integer(2, "I")
    return TensorNode(
        index=index,
        name=table.string(3),
        shape=tuple(max(n, 1) for n in table.integers(0)),
        dtype=TYPES.get(table.integer(1, "b"), ("", 0))[0],
        buffer=buffer,
        constant=filled[buffer],
        scales=scales,
        zero_points=zeros,
    )
