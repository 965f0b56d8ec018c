"""The network that computes as if it were int8, for training and for the converter. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from converters import layergraph
from converters.layergraph import Copier
from converters.qat import places
from converters.qat.layers import ROUNDING, Fixed, Range
from edgecam.types import Array

Ranges = Mapping[str, tuple[float, float]]

PREFIX = "range_of_"
_PIXELS = (0.0, 255.0)


def simulated(folded: Any, momentum: float = 0.99) -> Any:
    """A network that rounds kernels and tensors as int8 does; its ranges follow the training.

    Args:
        folded: from :func:`converters.qat.folding.fold`.
        momentum: of the ranges' moving average.
    """
    graph = layergraph.read(folded)
    copier, ranged, names = Copier(), set(places.ranged(graph)), places.names(graph)
    fixed = set(graph.inputs) if places.takes_pixels(graph) else set()

    def make(operation: Any) -> Any:
        kind = ROUNDING.get(type(operation).__name__)
        if kind is None:
            return copier(operation)
        new = kind.from_config({**operation.get_config(), "name": copier.name(operation.name)})
        copier.made.append((operation, new))
        return new

    def after(index: int, tensor: Any) -> Any:
        if index in fixed:
            return Fixed(*_PIXELS, name=PREFIX + names[index])(tensor)
        return Range(momentum, name=PREFIX + names[index])(tensor) if index in ranged else tensor

    model = layergraph.build(graph, make, after=after)
    copier.copy_weights()
    return model


def watch(model: Any, batches: Iterable[Array]) -> None:
    """Let the ranges see some pictures before anything is rounded.

    Args:
        model: from :func:`simulated`.
        batches: pictures as the network takes them.
    """
    found = [layer for layer in model.layers if isinstance(layer, Range)]
    for layer in found:
        layer.watching = True
    try:
        for batch in batches:
            model(batch.astype("float32"), training=False)
    finally:
        for layer in found:
            layer.watching = False


def ranges(model: Any) -> dict[str, tuple[float, float]]:
    """What :func:`simulated`'s model has learnt: name of the tensor's node -> least and greatest value."""
    return {
        layer.name.removeprefix(PREFIX): layer.limits()
        for layer in model.layers
        if isinstance(layer, Range | Fixed)
    }


def plain(model: Any, folded: Any) -> Any:
    """The folded network with the weights that :func:`simulated`'s model has learnt.

    Args:
        model: the trained one.
        folded: what it was made from; it is changed and given back.
    """
    for layer in folded.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return folded


def for_converter(folded: Any, learnt: Ranges) -> Any:
    """The network with its ranges marked for TensorFlow's converter.

    Kernels are left as they are: the converter rounds them to the same grid by itself, and cannot move the
    marks of a kernel to where it wants them.

    Args:
        folded: the trained network, from :func:`plain`, also after saving.
        learnt: from :func:`ranges`.
    """
    graph = layergraph.read(folded)
    copier, names = Copier(), places.names(graph)

    def after(index: int, tensor: Any) -> Any:
        found = learnt.get(names[index])
        return tensor if found is None else Fixed(*found, name=PREFIX + names[index])(tensor)

    model = layergraph.build(graph, copier, after=after)
    copier.copy_weights()
    return model
