"""A Keras model as a list of single operations, models within models laid flat, and back again.

Keras keeps a functional model as tensors that know the operation they come from. Here that becomes nodes in
the order in which they are computed, so that a network can be looked through, changed and built anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edgecam.errors import ModelError

Make = Callable[[Any], Any]
After = Callable[[int, Any], Any]


@dataclass(frozen=True)
class Ref:
    """Stands for the output of a node among the arguments of another."""

    index: int


@dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation.

    Attributes:
        index: its place in the graph.
        operation: the Keras layer, or an operation of ``keras.ops``; a shared layer stands in several nodes.
        args, kwargs: what it is called with, :class:`Ref` in place of tensors.
        inputs: the nodes that it reads.
        shape: of its output, without the batch; None for a free side.
    """

    index: int
    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[int, ...]
    shape: tuple[int | None, ...]

    @property
    def kind(self) -> str:
        """The operation's class."""
        return type(self.operation).__name__

    @property
    def name(self) -> str:
        """The operation's own name."""
        return str(self.operation.name)


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A network.

    Attributes:
        name: the model's.
        nodes: each behind those that it reads.
        inputs: nodes of the inputs.
        outputs: the structure of the outputs, :class:`Ref` in place of tensors.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: Any

    @cached_property
    def readers(self) -> dict[int, list[int]]:
        """node -> the nodes that read it."""
        out: dict[int, list[int]] = {node.index: [] for node in self.nodes}
        for node in self.nodes:
            for source in node.inputs:
                out[source].append(node.index)
        return out

    @cached_property
    def results(self) -> tuple[int, ...]:
        """The nodes that are outputs."""
        return tuple(ref.index for ref in _refs(self.outputs))

    def calls(self) -> dict[int, list[Node]]:
        """``id`` of an operation -> its nodes."""
        out: dict[int, list[Node]] = {}
        for node in self.nodes:
            out.setdefault(id(node.operation), []).append(node)
        return out


def read(model: Any) -> LayerGraph:
    """Lay a functional or sequential model flat.

    Raises:
        ModelError: it is a class of its own, or has never been built; an operation with several outputs.
    """
    if not getattr(model, "inputs", None) or not hasattr(model, "layers") or not _is_graph(model):
        raise ModelError(
            f"{getattr(model, 'name', 'the model')} is no functional or sequential model",
            "build it with keras.Model(inputs, outputs)",
        )
    return _Reader().read(model)


def _is_graph(model: Any) -> bool:
    import keras

    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _refs(structure: Any) -> Iterator[Ref]:
    if isinstance(structure, Ref):
        yield structure
    elif isinstance(structure, Mapping):
        for item in structure.values():
            yield from _refs(item)
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from _refs(item)


def _mapped(structure: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The structure with everything of a kind changed."""
    if isinstance(structure, kind):
        return change(structure)
    if isinstance(structure, Mapping):
        return {key: _mapped(item, kind, change) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(_mapped(item, kind, change) for item in structure)
    return structure


@dataclass
class _Reader:
    nodes: list[Node] = field(default_factory=list)

    def read(self, model: Any) -> LayerGraph:
        known: dict[int, int] = {}
        inputs = []
        for tensor in model.inputs:
            layer = tensor._keras_history.operation
            known[id(tensor)] = self._add(layer, (), {}, tensor)
            inputs.append(known[id(tensor)])
        outputs = self._all(model, known)
        return LayerGraph(str(model.name), tuple(self.nodes), tuple(inputs), outputs)

    def _all(self, model: Any, known: dict[int, int]) -> Any:
        """Lay out all that the outputs need; ``known``: id of a tensor -> its node."""
        import keras

        structure = getattr(model, "_outputs_struct", None)
        structure = model.outputs if structure is None else structure
        if isinstance(structure, list | tuple) and len(structure) == 1:
            structure = structure[0]
        for tensor in model.outputs:
            self._until(tensor, known)
        return _mapped(structure, keras.KerasTensor, lambda tensor: Ref(known[id(tensor)]))

    def _until(self, wanted: Any, known: dict[int, int]) -> None:
        stack = [wanted]
        while stack:  # not by recursion: networks are deeper than Python's stack
            tensor = stack[-1]
            if id(tensor) in known:
                stack.pop()
                continue
            history = tensor._keras_history
            call = history.operation._inbound_nodes[history.node_index]
            missing = [source for source in call.input_tensors if id(source) not in known]
            if missing:
                stack.extend(missing)
                continue
            self._call(history.operation, call, known)

    def _call(self, operation: Any, call: Any, known: dict[int, int]) -> None:
        import keras

        if hasattr(operation, "layers") and _is_graph(operation):
            inner = {
                id(mine): known[id(given)]
                for mine, given in zip(operation.inputs, call.input_tensors, strict=True)
            }
            self._all(operation, inner)
            for mine, given in zip(operation.outputs, call.output_tensors, strict=True):
                known[id(given)] = inner[id(mine)]
            return
        if len(call.output_tensors) != 1:
            raise ModelError(
                f"layer {operation.name!r} ({type(operation).__name__}) has several outputs",
                "only layers with one output can be changed",
            )

        def ref(tensor: Any) -> Ref:
            return Ref(known[id(tensor)])

        args = _mapped(tuple(call.arguments.args), keras.KerasTensor, ref)
        kwargs = _mapped(dict(call.arguments.kwargs), keras.KerasTensor, ref)
        known[id(call.output_tensors[0])] = self._add(operation, args, kwargs, call.output_tensors[0])

    def _add(self, operation: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], tensor: Any) -> int:
        inputs = tuple(ref.index for ref in _refs([args, kwargs]))
        node = Node(len(self.nodes), operation, args, kwargs, inputs, tuple(tensor.shape[1:]))
        self.nodes.append(node)
        return node.index


def build(
    graph: LayerGraph, make: Make, *, after: After | None = None, outputs: Sequence[int] | None = None
) -> Any:
    """A new model.

    Args:
        graph: the network.
        make: gives the new operation for an old one; asked once for each.
        after: called with each node's number and its new output; gives what its readers read.
        outputs: nodes whose outputs the model gives, a list; those of the graph if not said.
    """
    import keras

    made: dict[int, Any] = {}
    values: dict[int, Any] = {}

    def value(ref: Ref) -> Any:
        return values[ref.index]

    given = []
    for node in graph.nodes:
        if node.index in graph.inputs:
            dtype = node.operation.dtype
            out = keras.Input(node.shape, dtype=dtype, name=node.name)
            given.append(out)
        else:
            key = id(node.operation)
            if key not in made:
                made[key] = make(node.operation)
            out = made[key](*_mapped(node.args, Ref, value), **_mapped(dict(node.kwargs), Ref, value))
        values[node.index] = out if after is None else after(node.index, out)
    wanted = _mapped(graph.outputs, Ref, value) if outputs is None else [values[n] for n in outputs]
    return keras.Model(given[0] if len(given) == 1 else given, wanted, name=graph.name)


class Copier:
    """Makes new operations of old ones, with names that are unique in the new model.

    Attributes:
        made: (old, new), for copying weights after the model is built.
    """

    def __init__(self) -> None:
        self.made: list[tuple[Any, Any]] = []
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """The name, or it with a number if it is taken."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def __call__(self, operation: Any, changes: Mapping[str, Any] | None = None) -> Any:
        config = {**operation.get_config(), **(changes or {})}
        config["name"] = self.name(str(operation.name))
        new = type(operation).from_config(config)
        self.made.append((operation, new))
        return new

    def copy_weights(self) -> None:
        """Give every new operation the weights of its old one."""
        for old, new in self.made:
            if getattr(old, "weights", None):
                new.set_weights(old.get_weights())


def copy(model: Any) -> Any:
    """The model anew, laid flat, with the same weights."""
    copier = Copier()
    out = build(read(model), copier)
    copier.copy_weights()
    return out
