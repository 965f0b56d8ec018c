"""What a network costs with some of its channels gone, counted without building it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from converters.layergraph import Node
from converters.pruning.channels import Channels, alive
from converters.pruning.cut import kept
from converters.pruning.rules import MAKES, WEIGHED
from edgecam.errors import ModelError
from edgecam.types import Array


@dataclass(frozen=True)
class Cost:
    """
    Attributes:
        macs: multiply-accumulates of one picture in convolutions and dense layers.
        parameters: all weights.
    """

    macs: int
    parameters: int


def of(channels: Channels, dead: Array | None = None) -> Cost:
    """Cost of a network without its dead channels.

    Raises:
        ModelError: the size of its input is free.
    """
    dead = channels.nobody() if dead is None else dead
    nodes = channels.graph.nodes
    macs = sum(_macs(channels, dead, node) for node in nodes)
    first = (calls[0] for calls in channels.graph.calls().values())
    return Cost(macs, sum(_parameters(channels, dead, node) for node in first))


def _macs(channels: Channels, dead: Array, node: Node) -> int:
    if node.kind not in MAKES and node.kind != "DepthwiseConv2D":
        return 0
    made = len(alive(dead, channels.of(node.index)))
    taken = len(alive(dead, channels.source(node)))
    if node.kind == "Dense":
        return _area(node) * taken * made
    kernel = int(math.prod(node.operation.kernel_size))
    if node.kind == "DepthwiseConv2D":
        return _area(node) * kernel * made
    if node.kind == "Conv2DTranspose":
        return _area(channels.graph.nodes[node.inputs[0]]) * kernel * taken * made
    if node.kind == "SeparableConv2D":
        spread = taken * int(node.operation.depth_multiplier)
        return _area(node) * spread * (kernel + made)
    return _area(node) * kernel * taken * made


def _area(node: Node) -> int:
    if None in node.shape:
        raise ModelError(
            f"layer {node.name!r} has an output of free size", "build the network for one input size"
        )
    return math.prod(side or 1 for side in node.shape[:-1])


def _parameters(channels: Channels, dead: Array, node: Node) -> int:
    weighed = WEIGHED.get(node.kind)
    total = 0
    for variable in getattr(node.operation, "weights", ()):
        shape = list(variable.shape)
        for axis, whose in weighed.weights[variable.name].items() if weighed else ():
            shape[axis] = len(kept(channels, dead, node, whose))
        total += int(np.prod(shape, dtype=np.int64))
    return total
