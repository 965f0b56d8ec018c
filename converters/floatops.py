"""Which operators of a quantised model still compute in float."""

from __future__ import annotations

from collections import Counter

import numpy as np

from converters import graph
from edgecam.tflite import SSD_OP


def float_operators(model: bytes) -> dict[str, int]:
    """Operators that compute in float, by name, most frequent first.

    Conversions do not count, nor does the op that decodes an SSD's boxes: it knows nothing but float.
    """
    found = graph.read(model)

    def is_float(tensor: int) -> bool:
        return tensor >= 0 and np.dtype(found.tensors[tensor].dtype or "int8").kind == "f"

    names = [
        operator.name
        for operator in found.operators
        if operator.name not in ("QUANTIZE", "DEQUANTIZE", SSD_OP) and any(map(is_float, operator.outputs))
    ]
    return dict(Counter(names).most_common())
