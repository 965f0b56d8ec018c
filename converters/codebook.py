"""Non-uniform quantisation: each weight tensor keeps a few of its values only.

Works on a finished int8 model. The k values of a tensor are those that minimise the squared error of all its
weights, found exactly: one-dimensional k-means by dynamic programming over the (at most 255) different values
and their counts. The interpreter still sees int8, so neither speed nor file size changes; the *compressed*
file becomes smaller, since fewer values are easier to code.

Sources: Han et al., "Deep Compression", 2016 (weight sharing); Wang and Song, "Ckmeans.1d.dp: Optimal k-means
Clustering in One Dimension by Dynamic Programming", 2011.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from converters import graph
from edgecam import tflite
from edgecam.types import Array

# Depthwise convolutions are left alone: hardly any weights, and each of them counts (MobileNetV2, flowers, 32
# values: top-1 61% with them, 79% without, of 87%).
_WEIGHTED = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
_SMALLEST = 256  # weights; smaller tensors compress to nothing worth an error


def means(values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """The index of the cluster of each value in the best split into ``k`` clusters.

    Args:
        values: different numbers, ascending.
        counts: how often each occurs.
        k: clusters, at most as many as values.

    Returns:
        ascending, 0 to k - 1.
    """
    n = len(values)
    weight, first, second = (
        np.concatenate([[0.0], np.cumsum(counts * values.astype(np.float64) ** power)]) for power in (0, 1, 2)
    )
    start, end = np.arange(n)[:, None], np.arange(1, n + 1)[None, :]
    mass = np.where(end > start, weight[end] - weight[start], 1)
    # error[i, j]: squared error of one cluster of the values i to j
    error = second[end] - second[start] - (first[end] - first[start]) ** 2 / mass
    error = np.where(end > start, np.maximum(error, 0), np.inf)
    best = error[0]
    begins = np.zeros((k, n), np.int64)
    for cluster in range(1, k):
        # the last cluster begins at i, those before it take the values 0 to i - 1
        total = np.concatenate([[np.inf], best[:-1]])[:, None] + error
        begins[cluster] = total.argmin(0)
        best = total.min(0)
    labels = np.empty(n, np.int64)
    stop = n
    for cluster in range(k - 1, -1, -1):
        begin = int(begins[cluster, stop - 1])
        labels[begin:stop] = cluster
        stop = begin
    return labels


def share(weights: Array, k: int) -> Array:
    """int8 weights of which only ``k`` different values are left; same shape."""
    values, inverse, counts = np.unique(weights, return_inverse=True, return_counts=True)
    if len(values) <= k:
        return weights
    labels = means(values.astype(np.int64), counts.astype(np.int64), k)
    mass = np.bincount(labels, counts, k)
    centres = np.rint(np.bincount(labels, counts * values.astype(np.float64), k) / mass).astype(np.int8)
    out: Array = centres[labels][inverse].reshape(weights.shape)
    return out


def apply(model: bytes, k: int) -> bytes:
    """An int8 model whose large weight tensors have at most ``k`` different values each; same size.

    Raises:
        ModelError: not a TFLite model.
    """
    tflite.parse(model)
    found = graph.read(model)
    out = bytearray(model)
    chosen = {
        node.buffer: node
        for operator in found.operators
        if operator.name in _WEIGHTED and len(operator.inputs) > 1 and operator.inputs[1] >= 0
        for node in [found.weights(operator.inputs[1])]
        if node is not None and node.dtype == "int8" and node.size >= _SMALLEST
    }
    for buffer, (at, size) in graph_buffers(model, set(chosen)).items():
        weights = np.frombuffer(model, np.int8, size, at).reshape(chosen[buffer].shape)
        out[at : at + size] = share(weights, k).tobytes()
    return bytes(out)


def graph_buffers(model: bytes, wanted: set[int]) -> dict[int, tuple[int, int]]:
    """Where the bytes of buffers lie: number -> (offset, length)."""
    from edgecam.flatbuffer import root

    found = {}
    for number, table in enumerate(root(model, tflite.IDENTIFIER).tables(4)):
        if number in wanted:
            length, at = table.vector(0, 1)
            found[number] = (at, length)
    return found


def compressed(data: bytes) -> int:
    """Size after zlib at its best, in bytes: what a download or an update costs."""
    return len(zlib.compress(data, 9))
