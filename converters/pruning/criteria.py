"""How much a channel matters. Each criterion gives one number for each group of channels, the less the sooner
it leaves.

Numbers of different layers are made comparable by dividing them by their layer's mean; a group that lies in
several layers gets the mean over them. ``l1`` is the norm of a filter (Li et al., "Pruning Filters for
Efficient ConvNets", 2017), ``gamma`` the scale of its batch normalisation (Liu et al., "Network Slimming",
2017), ``entropy`` how much its answers differ between pictures (Luo and Wu, "An Entropy-based Pruning Method
for CNN Compression", 2017), ``random`` what all of them have to beat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from converters import layergraph
from converters.layergraph import Copier, Node
from converters.pruning.channels import Channels
from converters.pruning.rules import HAND, KINDS, WEIGHED
from edgecam.errors import ModelError
from edgecam.types import Array, Floats

CRITERIA = ("l1", "gamma", "entropy", "random")
BINS = 100  # of a channel's answers; Luo and Wu's
_SPACE = ("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D")


def scores(channels: Channels, by: str, batches: Iterable[Array] = (), seed: int = 0) -> Array:
    """
    Args:
        channels: of the network.
        by: one of :data:`CRITERIA`.
        batches: for ``entropy``: pictures as the network takes them, (B, H, W, C) each; a few hundred in all.
        seed: for ``random``.

    Returns:
        float64 (groups,), infinite for what has to stay.

    Raises:
        ModelError: ``gamma``, and no layer that can be pruned has a batch normalisation with a scale;
            ``entropy``, and no pictures.
    """
    if by == "random":
        rated: Array = np.random.default_rng(seed).random(len(channels.fixed))
    else:
        found = {
            "l1": lambda: _norms(channels),
            "gamma": lambda: _scales(channels),
            "entropy": lambda: _entropies(channels, batches),
        }
        rated = _mean(channels, found[by]())
    rated[channels.fixed] = np.inf
    return rated


def _mean(channels: Channels, found: Iterable[tuple[Array, Array]]) -> Array:
    """From (groups, values) of single layers to one number a group; 1, the mean, for what none has rated."""
    total, count = np.zeros(len(channels.fixed)), np.zeros(len(channels.fixed))
    for groups, values in found:
        mean = float(np.mean(values))
        np.add.at(total, groups, values / mean if mean > 0 else values)
        np.add.at(count, groups, 1)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _norms(channels: Channels) -> Iterator[tuple[Array, Array]]:
    seen = set()
    for node in channels.graph.nodes:
        weighed = WEIGHED.get(node.kind)
        if weighed is None or id(node.operation) in seen:
            continue
        seen.add(id(node.operation))
        for variable in node.operation.weights:
            if variable.name not in ("kernel", "pointwise_kernel"):
                continue
            axes = weighed.weights[variable.name]
            # A depthwise kernel has the channel that it reads and writes on one axis.
            axis = next((a for a, whose in axes.items() if whose == "out"), 2)
            value = np.moveaxis(np.abs(np.asarray(variable)), axis, 0)
            groups = channels.source(node) if node.kind == "DepthwiseConv2D" else channels.of(node.index)
            yield groups, value.reshape(len(value), -1).sum(1)


def _scales(channels: Channels) -> Iterator[tuple[Array, Array]]:
    found = False
    for nodes in channels.graph.calls().values():
        node = nodes[0]
        if node.kind == "BatchNormalization" and node.operation.scale:
            found = True
            yield channels.of(node.index), np.abs(np.asarray(node.operation.gamma))
    if not found:
        raise ModelError("the network has no batch normalisation with a scale", "prune it --by l1")


def _entropies(channels: Channels, batches: Iterable[Array]) -> Iterator[tuple[Array, Array]]:
    nodes = [answer(channels, node) for node in channels.makers]
    means = _pooled(channels, nodes, batches)
    for node, values in zip(nodes, means, strict=True):
        yield channels.of(node), entropy(values)


def answer(channels: Channels, node: Node) -> int:
    """The node behind a layer's batch normalisation and activation."""
    graph, last = channels.graph, node.index
    while len(graph.readers[last]) == 1:
        reader = graph.nodes[graph.readers[last][0]]
        if KINDS[reader.kind] != HAND or reader.kind in _SPACE:
            break
        last = reader.index
    return last


def _pooled(channels: Channels, nodes: list[int], batches: Iterable[Array]) -> list[Floats]:
    """Each channel's mean over the picture: float32 (pictures, channels) for each node."""
    import keras

    copier = Copier()
    maps = layergraph.build(channels.graph, copier, outputs=nodes)
    copier.copy_weights()
    means = [
        keras.ops.mean(out, tuple(range(1, len(out.shape) - 1))) if len(out.shape) > 2 else out
        for out in maps.outputs
    ]
    model = keras.Model(maps.inputs, means)
    found: list[list[Floats]] = [[] for _ in nodes]
    for batch in batches:
        outs = model.predict_on_batch(np.asarray(batch, np.float32))
        for kept, out in zip(found, outs if isinstance(outs, list) else [outs], strict=True):
            kept.append(np.asarray(out))
    if not found or not found[0]:
        raise ModelError("no pictures to see the channels' answers on", "add --data, or prune --by l1")
    return [np.concatenate(kept) for kept in found]


def entropy(answers: Floats, bins: int = BINS) -> Array:
    """Of each column's values, in equal bins between its least and greatest, in bits.

    Args:
        answers: (pictures, channels).

    Returns:
        float64 (channels,).
    """
    low, high = answers.min(0), answers.max(0)
    width = np.where(high > low, high - low, 1)
    place = np.minimum((answers - low) / width * bins, bins - 1).astype(np.int64)
    out = np.zeros(answers.shape[1])
    for channel in range(answers.shape[1]):
        share = np.bincount(place[:, channel], minlength=bins) / len(answers)
        share = share[share > 0]
        out[channel] = -(share * np.log2(share)).sum()
    return np.abs(out)
