"""Layers that do not learn. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from edgecam.errors import UsageError


@contextmanager
def trainable_kept(model: Any) -> Iterator[None]:
    """What may learn in a model is the same afterwards."""
    before = [(layer, layer.trainable) for layer in flat(model)]
    try:
        yield
    finally:
        for layer, trainable in before:
            layer.trainable = trainable


def freeze(model: Any, patterns: Sequence[str]) -> None:
    """Let layers learn, but for those whose name fits a pattern (``block_1_*``).

    Frozen batch normalisation keeps its statistics too.

    Raises:
        UsageError: a pattern fits no layer, or nothing is left that learns.
    """
    layers = list(flat(model))
    for pattern in patterns:
        if not any(fnmatchcase(layer.name, pattern) for layer in layers):
            raise UsageError(f"no layer is called {pattern!r}", f"{model.name} has {_some(layers)}")
    for layer in layers:
        layer.trainable = not any(fnmatchcase(layer.name, pattern) for pattern in patterns)
    if not model.trainable_variables:
        raise UsageError("every layer is frozen", "leave some to learn")


def flat(model: Any) -> Iterator[Any]:
    """All layers, also those of models within."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from flat(layer)


def _some(layers: Sequence[Any]) -> str:
    names = [layer.name for layer in layers if layer.weights]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
