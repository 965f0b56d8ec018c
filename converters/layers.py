"""Which layers lose what: the float twin and a quantised model side by side, tensor by tensor.

Both are run with every intermediate tensor kept. Tensors are matched by their names, which converters keep;
what is left is matched by the order and shape of the operators. Each pair gives three ratios of signal to
noise, in decibels (6 dB are one bit):

reached
    the tensor as it is in the quantised model: everything lost up to here.
rounding
    the float twin's own tensor, rounded to the scale of the quantised one and clipped to its range: what this
    tensor's scale costs by itself. A wrong calibration shows here. Taken channel by channel and averaged: one
    large channel makes the scale coarse for all, and the small ones may carry as much.
weights
    the float weights against the quantised ones: what their rounding costs.

A layer's *own* error adds the noise of the last two. What the layers before have lost is not in it, so layers
are ranked by it. That the noise of the weights reaches the output in the same proportion is exact for
uncorrelated inputs, else an estimate.

Sources: Lin et al., "Fixed Point Quantization of Deep Convolutional Networks", 2016, for the measure;
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, for channels of
unequal range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from converters import macs, metrics
from converters.graph import ModelGraph, Operator
from converters.inside import Grid, Inside
from edgecam.errors import EngineError
from edgecam.tflite import SSD_OP
from edgecam.types import Array, Image

# Casts compute nothing; the rows of a suppression are not the same boxes on both sides.
_PASSED_OVER = ("QUANTIZE", "DEQUANTIZE", SSD_OP)
_MULTIPLIES = ("convolution", "depthwise", "Conv2D", "DepthwiseConv2dNative", "MatMul", "conv_transpose")
_LOSSLESS = 120.0  # decibels from which the difference is that of float32 itself
_OPAQUE = ("bool", "int64", "int32", "")  # shapes, indices, comparisons


@dataclass(frozen=True)
class LayerError:
    """One operator of the float twin and its counterpart. Decibels; None where nothing is lost.

    Attributes:
        index: number of the operator in the float twin.
        operator: its kind.
        name: its output's name, cut short.
        tensor: name of the float twin's output tensor.
        counterpart: name of the quantised model's.
        reached, rounding, weights, own: see the module.
        clipped: fraction of the values outside the quantised tensor's range.
        macs: multiply-accumulates.
        dtype: of the quantised model's tensor.
        readers: names of the float twin's tensors that are computed from it directly.
    """

    index: int
    operator: str
    name: str
    tensor: str
    counterpart: str
    reached: float | None
    rounding: float | None
    weights: float | None
    own: float | None
    clipped: float
    macs: int
    dtype: str
    readers: tuple[str, ...] = ()

    @property
    def of_range(self) -> bool:
        """Whether the range of its output costs more than the rounding of its weights."""
        return self.weights is None or (self.rounding is not None and self.rounding < self.weights)


@dataclass(frozen=True)
class LayerReport:
    """
    Attributes:
        pictures: how many were run.
        layers: in the order of the network.
        unmatched: names of float tensors without a counterpart.
    """

    pictures: int
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...] = ()

    def worst(self, count: int) -> list[LayerError]:
        """The guilty ones, worst first: least own ratio of signal to noise."""
        guilty = [layer for layer in self.layers if layer.own is not None]
        return sorted(guilty, key=lambda layer: layer.own or 0.0)[:count]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LayerReport:
        """What :meth:`as_dict` gave."""
        layers = tuple(
            LayerError(**{**entry, "readers": tuple(entry["readers"])}) for entry in values["layers"]
        )
        return cls(values["pictures"], layers, tuple(values["unmatched"]))


def compare(float_model: Path, other: Path, images: Sequence[Image]) -> LayerReport:
    """Where a quantised model departs from its float twin.

    Args:
        float_model: a ``.tflite`` with a contract.
        other: the same network, quantised, with a contract.
        images: a few pictures, RGB uint8; 8 to 32 are enough.

    Raises:
        ModelError: a file or its contract is wrong.
        EngineError: the interpreter refuses a file.
    """
    try:
        base, changed = Inside(float_model), Inside(other)
        pairs = match(base.graph, changed.graph)
        sums = [_Sum(whole=a.name == "SOFTMAX") for a, _ in pairs]
        for image in images:
            base.run(image)
            changed.run(image)
            for (a, b), total in zip(pairs, sums, strict=True):
                total.add(base.real(a.outputs[0]), changed.real(b.outputs[0]), changed.grid(b.outputs[0]))
    except (RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise EngineError(f"the layers of {other} cannot be looked at ({why})", "add --layers 0") from error
    cost = macs.of_graph(base.graph).by_operator
    layers = tuple(
        _layer(base, changed, pair, total, cost.get(pair[0].index, 0))
        for pair, total in zip(pairs, sums, strict=True)
        if total.signal
    )
    matched = {a.index for a, _ in pairs}
    left = tuple(
        base.graph.tensors[op.outputs[0]].name for op in _computing(base.graph) if op.index not in matched
    )
    return LayerReport(len(images), layers, left)


def match(base: ModelGraph, other: ModelGraph) -> list[tuple[Operator, Operator]]:
    """Operators of two graphs that compute the same, in the order of the first."""
    mine, theirs = _computing(base), _computing(other)
    named = {_name(other, op): op for op in theirs}
    pairs = {
        op.index: named[_name(base, op)] for op in mine if _fits(base, op, other, named.get(_name(base, op)))
    }
    taken = {op.index for op in pairs.values()}
    rest = [op for op in mine if op.index not in pairs]
    free = [op for op in theirs if op.index not in taken]
    keys = [[_key(model, op) for op in ops] for model, ops in ((base, rest), (other, free))]
    for block in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_matching_blocks():
        for n in range(block.size):
            pairs[rest[block.a + n].index] = free[block.b + n]
    return [(op, pairs[op.index]) for op in mine if op.index in pairs]


def _computing(model: ModelGraph) -> list[Operator]:
    """Operators whose first output is a picture's own, real-valued tensor."""
    return [
        op
        for op in model.operators
        if op.name not in _PASSED_OVER and op.outputs and model.tensors[op.outputs[0]].dtype not in _OPAQUE
    ]


def _name(model: ModelGraph, op: Operator) -> str:
    return model.tensors[op.outputs[0]].name


def _key(model: ModelGraph, op: Operator) -> tuple[str, tuple[int, ...]]:
    return op.name, model.tensors[op.outputs[0]].shape


def _fits(base: ModelGraph, op: Operator, other: ModelGraph, found: Operator | None) -> bool:
    return found is not None and _key(base, op) == _key(other, found)


@dataclass
class _Sum:
    """Energies of one tensor over all pictures; those of its rounding channel by channel.

    Attributes:
        whole: take all channels as one: of probabilities the small ones carry nothing.
    """

    whole: bool = False
    signal: float = 0.0
    noise: float = 0.0
    channels: Array = field(default_factory=lambda: np.zeros(1))
    rounding: Array = field(default_factory=lambda: np.zeros(1))
    clipped: list[float] = field(default_factory=list)

    def add(self, reference: Array, value: Array, grid: Grid | None) -> None:
        signal, noise = metrics.energies(reference, value)
        self.signal += signal
        self.noise += noise
        if grid is not None:
            rounded, clipped = grid.nearest(reference)
            self.channels = self.channels + _by_channel(reference, self.whole)
            self.rounding = self.rounding + _by_channel(reference - rounded, self.whole)
            self.clipped.append(clipped)

    @property
    def lost(self) -> float:
        """Noise over signal of the rounding: mean over channels, each between 0 and 1 (all of it is lost)."""
        live = self.channels > 0
        if not live.any():
            return 0.0
        return float(np.minimum(self.rounding[live] / self.channels[live], 1.0).mean())


def _by_channel(values: Array, whole: bool) -> Array:
    """Energy of each channel (the last axis), or of all as one."""
    rows = np.asarray(values, np.float64).reshape(-1, 1 if whole or not values.ndim else values.shape[-1])
    return np.asarray(np.einsum("nc,nc->c", rows, rows))


def _layer(
    base: Inside, other: Inside, pair: tuple[Operator, Operator], total: _Sum, cost: int
) -> LayerError:
    a, b = pair
    signal, noise = 0.0, 0.0
    for mine, theirs in zip(base.weights(a), other.weights(b), strict=False):
        reference, value = base.real(mine), other.real(theirs)
        if reference.size == value.size:
            signal, noise = metrics.energies(reference, value)
    lost = total.lost + (noise / signal if signal else 0.0)
    node, counterpart = base.graph.tensors[a.outputs[0]], other.graph.tensors[b.outputs[0]]
    return LayerError(
        index=a.index,
        operator=a.name,
        name=short_name(node.name, a.name),
        tensor=node.name,
        counterpart=counterpart.name,
        reached=_decibels(total.signal, total.noise),
        rounding=_decibels(1.0, total.lost),
        weights=_decibels(signal, noise),
        own=_decibels(1.0, lost),
        clipped=float(np.mean(total.clipped)) if total.clipped else 0.0,
        macs=cost,
        dtype=counterpart.dtype,
        readers=tuple(
            base.graph.tensors[op.outputs[0]].name
            for op in _computing(base.graph)
            if a.outputs[0] in op.inputs
        ),
    )


def _decibels(signal: float, noise: float) -> float | None:
    value = metrics.decibels(signal, noise)
    return round(value, 2) if value < _LOSSLESS else None


def short_name(name: str, operator: str = "") -> str:
    """A tensor's name for people.

    Converters string together all that was folded into a layer: of
    ``m/conv_BN/batchnorm/add;m/conv/convolution`` it is ``conv``, the part that multiplies, else the first.
    """
    parts = [part.rstrip(":0123456789").split("/") for part in name.split(";") if part]
    chosen = next(
        (part for part in parts if part[-1].rstrip("_") in _MULTIPLIES), parts[0] if parts else [""]
    )
    if chosen[0].startswith(("StatefulPartitionedCall", "Identity")):
        return operator.lower() or name
    return chosen[-2] if len(chosen) > 1 else chosen[-1]
