"""A ``.tflite`` laid out anew, so that equal zero points stand in it once. Needs TensorFlow.

In int8 kernels and biases every channel has a zero point of eight bytes that is 0: some hundredths of a small
network's file. FlatBuffers may refer to the same vector from several tables.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np

from converters.flatmodel import IDENTIFIER
from edgecam.types import Array

_ALIGNED = 16  # bytes: force_align of a buffer's data in the schema, which generated Python passes over


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal vectors of 64-bit integers, which only zero points are, once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._zeros: dict[bytes, int] = {}

    def CreateNumpyVector(self, x: Array) -> int:
        if x.dtype == np.uint8:
            self.StartVector(1, x.size, _ALIGNED)
            self.head -= x.size
            self.Bytes[self.head : self.head + x.size] = x.tobytes()
            return int(self.EndVector())
        if x.dtype != np.int64:
            return int(super().CreateNumpyVector(x))
        key = x.tobytes()
        if key not in self._zeros:
            self._zeros[key] = int(super().CreateNumpyVector(x))
        return self._zeros[key]


def compact(model: bytes) -> bytes:
    """The same model, in fewer bytes where that can be.

    Args:
        model: a ``.tflite`` of the installed TensorFlow's schema, as its converter gives it.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    held: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    if any(buffer.offset > 1 for buffer in held.buffers):
        return model  # weights outside the FlatBuffer, over 2 GB
    smaller = packed(held)
    return smaller if len(smaller) < len(model) else model


def packed(held: Any) -> bytes:
    """The bytes of a ``ModelT``, the schema's model as an object."""
    builder = _Builder(1 << 20)
    builder.Finish(held.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
