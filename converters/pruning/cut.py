"""Takes dead channels out of a network: a new one from the configurations, with the rest of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from converters import layergraph
from converters.layergraph import Copier, Node
from converters.pruning import channels as tracing
from converters.pruning.channels import Channels, alive
from converters.pruning.rules import KINDS, RESHAPE, WEIGHED
from edgecam.errors import ModelError
from edgecam.types import Array


def cut(channels: Channels, dead: Array) -> Any:
    """The network without its dead channels, which are taken to be zero.

    Args:
        channels: of the network; it is not changed.
        dead: for each group whether it leaves, bool (groups,).

    Returns:
        A ``keras.Model``, laid flat.

    Raises:
        ModelError: a layer would have no channel left, or a group has to stay.
    """
    if dead[channels.fixed].any():
        raise ModelError("a channel of the input or output is to leave", "keep the groups that are fixed")
    bare = tracing.empty(channels, dead)
    if bare:
        raise ModelError(f"layer {bare[0]!r} would have no channel left", "prune less")
    first = {key: nodes[0] for key, nodes in channels.graph.calls().items()}
    copier = Copier()

    def make(operation: Any) -> Any:
        return copier(operation, _changes(channels, dead, first[id(operation)]))

    model = layergraph.build(channels.graph, make)
    for old, new in copier.made:
        if getattr(old, "weights", None):
            new.set_weights(_weights(channels, dead, first[id(old)]))
    return model


def _changes(channels: Channels, dead: Array, node: Node) -> Mapping[str, Any]:
    left = len(alive(dead, channels.of(node.index)))
    weighed = WEIGHED.get(node.kind)
    if weighed is not None and weighed.size:
        return {weighed.size: left}
    if KINDS[node.kind] == RESHAPE and node.kind == "Reshape":
        return {"target_shape": [*node.shape[:-1], left]}
    return {}


def _weights(channels: Channels, dead: Array, node: Node) -> list[Array]:
    """A layer's weights, in its own order, without dead channels."""
    weighed = WEIGHED.get(node.kind)
    values = node.operation.get_weights()
    if weighed is None:
        return list(values)
    out = []
    for variable, value in zip(node.operation.weights, values, strict=True):
        for axis, whose in weighed.weights[variable.name].items():
            value = np.take(value, kept(channels, dead, node, whose), axis)
        out.append(value)
    return out


def kept(channels: Channels, dead: Array, node: Node, whose: str) -> Array:
    """Indices of the channels that stay; ``whose`` as in :class:`converters.pruning.rules.Makes`."""
    if whose == "out":
        return alive(dead, channels.of(node.index))
    source = channels.source(node)
    if whose == "spread":
        source = np.repeat(source, int(node.operation.depth_multiplier))
    return alive(dead, source)
