"""Whether two model files are the same but for what another processor rounds differently.

TensorFlow's float arithmetic takes the widest instructions there are, and their sums differ in the last bit:
calibrated on a processor with AVX-512 and on one without, 9 of 312 scales of ``detect-coco`` differ by 4e-7.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgecam.flatbuffer import Table, root
from edgecam.tflite import IDENTIFIER

SCALES = 1e-5  # largest relative difference
BYTES = 1e-3  # largest share of the bytes


def alike(one: bytes, other: bytes) -> bool:
    """The same tensors and zero points, scales as good as equal, and hardly a weight that differs.

    Raises:
        ModelError: one of them is damaged.
    """
    if one == other:
        return True
    if len(one) != len(other):
        return False
    bytes_ = [np.frombuffer(data, np.uint8) for data in (one, other)]
    if np.count_nonzero(bytes_[0] != bytes_[1]) > BYTES * len(one):
        return False
    ours, theirs = (list(_tensors(root(data, IDENTIFIER))) for data in (one, other))
    return len(ours) == len(theirs) and all(
        a[:3] == b[:3] and len(a[3]) == len(b[3]) and np.allclose(a[3], b[3], rtol=SCALES, atol=0)
        for a, b in zip(ours, theirs, strict=True)
    )


def _tensors(model: Table) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...], tuple[float, ...]]]:
    """(name, shape, zero points, scales) of every tensor."""
    for graph in model.tables(2):
        for tensor in graph.tables(0):
            quantisation = tensor.table(4)
            scales: tuple[float, ...] = ()
            zeros: tuple[int, ...] = ()
            if quantisation is not None:
                scales = tuple(quantisation.numbers(2, "f"))
                zeros = tuple(int(n) for n in quantisation.numbers(3, "q"))
            yield tensor.string(3), tuple(tensor.integers(0)), zeros, scales
