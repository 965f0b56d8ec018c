"""Which channels of a network hang together.

Every channel that a layer makes is an *atom*. Layers that work channel by channel hand atoms on, an addition
ties those of both sides, a concatenation lines them up. Atoms that are tied form a *group*: either all of it
leaves the network or nothing. Groups that reach the input or the output of the network stay.

After Fang et al., "DepGraph: Towards Any Structural Pruning", 2023, with single channels in place of layers:
so an offset behind a concatenation and the blocks behind a ``Flatten`` need no rules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from converters.layergraph import LayerGraph, Node
from converters.pruning import rules
from converters.pruning.rules import KINDS, MAKES
from edgecam.errors import ModelError
from edgecam.types import Array


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a network.

    Attributes:
        graph: the network.
        atoms: for each node the atoms of its output's last axis, int64 (C,).
        groups: for each atom its group, int64; groups are numbered from 0.
        fixed: for each group whether it has to stay.
    """

    graph: LayerGraph
    atoms: tuple[Array, ...]
    groups: Array
    fixed: Array

    def of(self, node: int) -> Array:
        """The groups of a node's output, one a channel."""
        out: Array = self.groups[self.atoms[node]]
        return out

    def source(self, node: Node) -> Array:
        """The groups of a node's (first) input."""
        return self.of(node.inputs[0])

    def nobody(self) -> Array:
        """No group is dead: bool (groups,)."""
        return np.zeros(len(self.fixed), bool)

    @cached_property
    def makers(self) -> tuple[Node, ...]:
        """One node for each layer that makes channels which may leave, in order."""
        seen: set[int] = set()
        out = []
        for node in self.graph.nodes:
            if node.kind in MAKES and id(node.operation) not in seen:
                seen.add(id(node.operation))
                if not self.fixed[self.of(node.index)].all():
                    out.append(node)
        return tuple(out)


def trace(graph: LayerGraph) -> Channels:
    """Find out which channels hang together.

    Raises:
        ModelError: a layer that is not understood; it is named.
    """
    return _Tracer(graph).run()


class _Tracer:
    def __init__(self, graph: LayerGraph) -> None:
        self._graph = graph
        self._parent: list[int] = []  # union-find
        self._stay: list[int] = []
        self._atoms: list[Array] = []
        self._called: dict[int, Node] = {}

    def run(self) -> Channels:
        for node in self._graph.nodes:
            self._atoms.append(self._follow(node))
        for index in self._graph.results:
            self._keep(self._atoms[index])
        roots = np.array([self._root(atom) for atom in range(len(self._parent))], np.int64)
        _, groups = np.unique(roots, return_inverse=True)
        fixed = np.zeros(groups.max() + 1, bool)
        fixed[groups[self._stay]] = True
        return Channels(self._graph, tuple(self._atoms), groups.reshape(-1), fixed)

    def _follow(self, node: Node) -> Array:
        if node.index in self._graph.inputs:
            return self._keep(self._new(_channels(node)))
        kind = KINDS.get(node.kind)
        if kind is None or not type(node.operation).__module__.startswith("keras."):
            raise _unknown(node, "its kind is not known")
        why = rules.objection(node, [self._graph.nodes[n].shape for n in node.inputs])
        if why:
            raise _unknown(node, why)
        if not node.inputs or (kind not in (rules.TIE, rules.CONCAT) and len(node.inputs) != 1):
            raise _unknown(node, f"it reads {len(node.inputs)} tensors")
        sources = [self._atoms[n] for n in node.inputs]
        out: Array = getattr(self, f"_{kind}")(node, sources)
        if rules.mixes(node):
            self._keep(out)
        return out

    def _make(self, node: Node, sources: Sequence[Array]) -> Array:
        first = self._called.setdefault(id(node.operation), node)
        if first is not node:  # a shared layer: its weights see both inputs
            self._tie(self._atoms[first.inputs[0]], sources[0])
            return self._atoms[first.index]
        return self._new(_channels(node))

    def _spread(self, node: Node, sources: Sequence[Array]) -> Array:
        """Depthwise: each channel makes as many as the multiplier says."""
        self._shared(node, sources[0])
        return np.repeat(sources[0], _channels(node) // len(sources[0]))

    def _hand(self, node: Node, sources: Sequence[Array]) -> Array:
        if getattr(node.operation, "weights", None):
            self._shared(node, sources[0])
        return sources[0]

    def _hold(self, node: Node, sources: Sequence[Array]) -> Array:
        """What it computes of a channel depends on the others, or is stored for each of them."""
        return self._keep(sources[0])

    def _tie_all(self, node: Node, sources: Sequence[Array]) -> Array:
        widest = max(sources, key=len)
        for source in sources:
            if len(source) == len(widest):
                self._tie(source, widest)
            elif len(source) == 1:  # laid over all channels of the other
                self._keep(source)
            else:
                raise _unknown(node, f"it joins {len(source)} and {len(widest)} channels")
        return widest

    def _concat(self, node: Node, sources: Sequence[Array]) -> Array:
        if rules.last_axis(node.operation.axis, len(node.shape) + 1):
            return np.concatenate(sources)
        return self._tie_all(node, sources)

    def _reshape(self, node: Node, sources: Sequence[Array]) -> Array:
        """Where every value of a new channel comes from one old channel, channels are handed on."""
        shape = self._graph.nodes[node.inputs[0]].shape
        if None in shape or None in node.shape:
            raise _unknown(node, "the sides of its input are free")
        laid = np.broadcast_to(sources[0], [side or 1 for side in shape])
        if node.kind == "Permute":
            laid = laid.transpose([axis - 1 for axis in node.operation.dims])
        rows = laid.reshape(-1, _channels(node))
        if (rows == rows[0]).all():
            return np.array(rows[0])
        self._keep(sources[0])
        return self._keep(self._new(_channels(node)))

    def _shared(self, node: Node, source: Array) -> None:
        first = self._called.setdefault(id(node.operation), node)
        if first is not node:
            self._tie(self._atoms[first.inputs[0]], source)

    def _new(self, count: int) -> Array:
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def _keep(self, atoms: Array) -> Array:
        self._stay.extend(int(atom) for atom in atoms)
        return atoms

    def _tie(self, these: Array, those: Array) -> None:
        for a, b in zip(these, those, strict=True):
            self._parent[self._root(int(a))] = self._root(int(b))

    def _root(self, atom: int) -> int:
        while self._parent[atom] != atom:
            self._parent[atom] = self._parent[self._parent[atom]]
            atom = self._parent[atom]
        return atom


def _channels(node: Node) -> int:
    if not node.shape or node.shape[-1] is None:
        raise _unknown(node, "its number of channels is not known")
    return int(node.shape[-1])


def _unknown(node: Node, why: str) -> ModelError:
    return ModelError(
        f"layer {node.name!r} ({node.kind}) cannot be pruned around: {why}",
        "replace the layer, or leave the step prune out; nothing has been changed",
    )


def alive(dead: Array, groups: Array) -> Array:
    """Which of the channels stay: indices."""
    return np.flatnonzero(~dead[groups])


def empty(channels: Channels, dead: Array) -> list[Any]:
    """Names of layers that would be left without channels."""
    return [node.name for node in channels.makers if not len(alive(dead, channels.of(node.index)))]
