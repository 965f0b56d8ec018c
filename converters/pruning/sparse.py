"""Unstructured pruning: the smallest weights become zero and stay so. Needs TensorFlow.

The network has as many multiply-accumulates as before; zeros make the file smaller to download (compressed),
and nothing faster: XNNPACK's sparse kernels are for float only.

After Zhu and Gupta, "To prune, or not to prune", 2017: the share of zeros rises as a cubic curve over the
rounds, the most at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters import layergraph
from converters.pruning import cost, measure
from converters.pruning.channels import trace
from edgecam.types import Array, Floats

_KERNELS = ("kernel", "pointwise_kernel")
_KEPT = 0.02  # of each kernel at the least: none is emptied


def kernels(model: Any) -> list[Any]:
    """The variables that get zeros: kernels of more than one input channel (depthwise ones are few weights,
    and worth them)."""
    found = []
    for layer in model.layers:
        if type(layer).__name__ != "DepthwiseConv2D":
            found += [variable for variable in layer.weights if variable.name in _KERNELS]
    return found


def masks(model: Any, sparsity: float) -> list[Array]:
    """Which weights stay, float32 of 0 and 1 for each of :func:`kernels`: the largest of all of them, each
    measured by the root mean square of its kernel.

    Args:
        sparsity: share of the kernels' weights that becomes zero.
    """
    sizes: list[Array] = []
    for variable in kernels(model):
        value = np.abs(variable.numpy().astype(np.float64))
        scale = np.sqrt(np.mean(value[value > 0] ** 2)) if value.any() else 1.0
        value /= scale
        kept = max(1, int(_KEPT * value.size))
        value.reshape(-1)[np.argpartition(value.reshape(-1), -kept)[-kept:]] += 1e6
        sizes.append(value)
    everything = np.concatenate([value.reshape(-1) for value in sizes])
    count = round(sparsity * everything.size)
    limit = np.partition(everything, count - 1)[count - 1] if count else -1.0
    return [(value > limit).astype(np.float32) for value in sizes]


@contextmanager
def held(model: Any, held_masks: list[Array]) -> Iterator[None]:
    """While inside, weights outside of the masks are zero after every step of training."""
    variables = kernels(model)
    for variable, mask in zip(variables, held_masks, strict=True):
        variable.assign(variable.numpy() * mask)
        variable.constraint = _Masked(mask)
    try:
        yield
    finally:
        for variable in variables:
            variable.constraint = None


def still_zero(model: Any) -> AbstractContextManager[None]:
    """While inside, what is zero stays zero."""
    return held(model, [(variable.numpy() != 0).astype(np.float32) for variable in kernels(model)])


class _Masked:
    def __init__(self, mask: Array) -> None:
        self._mask = mask

    def __call__(self, value: Any) -> Any:
        return value * self._mask


def zeros(model: Any) -> float:
    """Share of the kernels' weights that are zero."""
    found = [variable.numpy() for variable in kernels(model)]
    return float(sum((value == 0).sum() for value in found) / sum(value.size for value in found))


@dataclass(frozen=True, eq=False)
class Sparse:
    """
    Attributes:
        sparsity: share of zeros in the end.
        rounds: in how many rounds.
        pictures: a few, to convert with.
    """

    sparsity: float
    rounds: int
    pictures: Floats

    def check(self, model: Any) -> float:
        """Share of zeros at the start.

        Raises:
            ModelError: a layer that is not understood; it is named.
        """
        trace(layergraph.read(model))
        return zeros(model)

    def share(self, number: int) -> float:
        """Of zeros after a round, from 1."""
        return self.sparsity * (1 - (1 - number / self.rounds) ** 3)

    def shrink(self, model: Any, number: int, began: float) -> tuple[Any, dict[str, Any]]:
        """A copy with as many zeros as the round wants, and what there is to say of it."""
        network = layergraph.copy(model)
        share = max(self.share(number), began)
        with held(network, masks(network, share)):
            pass
        found = cost.of(trace(layergraph.read(network)))
        size = measure.int8(network, self.pictures)
        return network, {
            "goal": share,
            "reached": zeros(network),
            "macs": found.macs,
            "parameters": found.parameters,
            "bytes": size.bytes,
            "compressed": size.compressed,
        }

    def holding(self, network: Any) -> AbstractContextManager[None]:
        """While inside, what is zero stays zero."""
        return still_zero(network)

    def met(self, reached: float) -> bool:
        """Whether that is enough."""
        return reached >= self.sparsity - 0.005
