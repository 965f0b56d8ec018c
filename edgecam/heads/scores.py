"""Scores: from raw outputs to probabilities, converting only those that matter."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.quant import dequantize
from edgecam.types import Array, Floats, TensorInfo

Mask: TypeAlias = npt.NDArray[np.bool_]
Index: TypeAlias = npt.NDArray[np.intp]


class Scores:
    """Turns raw scores into probabilities, and finds those above a threshold without converting the rest.

    An 8 or 16 bit tensor has so few values that a table holds the probability of each: the threshold
    becomes an integer, and comparing integers gives exactly what comparing probabilities would.

    Args:
        info: the score output.
        activation: ``none`` (they are probabilities) or ``sigmoid`` (they are logits).
        threshold: least probability.
        clip: largest logit magnitude, or 0.

    Raises:
        ContractError: the tensor's type cannot hold scores.
    """

    def __init__(self, info: TensorInfo, activation: str, threshold: float, clip: float = 0.0) -> None:
        self._activation = activation
        self._clip = clip
        self._threshold = np.float32(threshold)
        self._table: Floats | None = None
        self._limit: Any = None
        if info.dtype.kind in "iu" and info.dtype.itemsize <= 2 and info.scale > 0:
            low, high = np.iinfo(info.dtype).min, np.iinfo(info.dtype).max
            self._low = int(low)
            self._table = self._activate(dequantize(np.arange(low, high + 1).astype(info.dtype), info))
            first = int(np.searchsorted(self._table, self._threshold))
            self._limit = info.dtype.type(low + first) if low + first <= high else None
        elif info.dtype.kind == "f":
            self._limit = np.float32(threshold if activation == "none" else _below_logit(threshold))
        else:
            raise ContractError(f"output {info.name!r} is {info.dtype} without a scale, not scores")

    def reach(self, raw: Array) -> Mask:
        """Which raw scores reach the threshold, bool, same shape. Of float logits also a few just below."""
        if self._limit is None:
            return np.zeros(raw.shape, bool)
        mask: Mask = raw >= self._limit
        return mask

    def __call__(self, raw: Array) -> Floats:
        """Probabilities, float32, same shape."""
        if self._table is None:
            return self._activate(raw.astype(np.float32, copy=False))
        return self._table[raw.astype(np.intp) - self._low]

    def final(self, index: Index, class_id: Index, raw: Array) -> tuple[Index, Index, Floats]:
        """Candidates that really reach the threshold, with their probabilities."""
        probability = self(raw)
        mask = probability >= self._threshold
        return index[mask], class_id[mask], probability[mask]

    def _activate(self, values: Floats) -> Floats:
        if self._activation == "none":
            return np.clip(values, 0, 1)  # a quantised output may overshoot by a step
        if self._clip:
            values = np.clip(values, -self._clip, self._clip)
        return sigmoid(values)


def sigmoid(values: Array) -> Floats:
    """Logits to probabilities, float32, without overflow; computed in float64 so that order is kept."""
    wide = np.maximum(values.astype(np.float64), -700.0)
    out: Floats = (1.0 / (1.0 + np.exp(-wide))).astype(np.float32)
    return out


def softmax(values: Floats) -> Floats:
    """Logits to a distribution along the last axis, float32."""
    out: Floats = np.exp(values - values.max(axis=-1, keepdims=True))
    out /= out.sum(axis=-1, keepdims=True)
    return out


def _below_logit(probability: float) -> float:
    """A logit surely not above that of the probability, whatever float32 makes of it."""
    p = min(max(probability - 1e-6, 0.0), 1.0)
    return float(np.log(p) - np.log1p(-p)) if p > 0 else float("-inf")


def best_of_rows(raw: Array, scores: Scores) -> tuple[Index, Index, Floats]:
    """Of raw scores (N, C): the rows whose best class reaches the threshold, that class, its probability."""
    rows = np.unique(np.flatnonzero(scores.reach(raw)) // raw.shape[1])
    some = raw[rows]
    best = some.argmax(axis=1)
    return scores.final(rows, best, some[np.arange(len(rows)), best])


def best_of_columns(raw: Array, scores: Scores) -> tuple[Index, Index, Floats]:
    """The same for raw scores that lie (C, N), without turning them."""
    columns = np.flatnonzero(scores.reach(raw.max(axis=0)))
    some = raw[:, columns]
    best = some.argmax(axis=0)
    return scores.final(columns, best, some[best, np.arange(len(columns))])


def refuse_scale(spec: ModelSpec, info: TensorInfo) -> None:
    """For outputs said to be probabilities.

    Raises:
        ContractError: the tensor is quantised for more than probabilities.
    """
    if info.dtype.kind in "iu":
        top = float(dequantize(np.array([np.iinfo(info.dtype).max], info.dtype), info)[0])
        if top > 1.1:
            raise _not_probabilities(spec, info, f"is scaled for values up to {top:.3g}")


def refuse_values(spec: ModelSpec, info: TensorInfo, values: Floats) -> None:
    """For outputs said to be probabilities.

    Raises:
        ContractError: some are none.
    """
    low, high = float(values.min()), float(values.max())
    # A softmax in float16 or int8 may miss 1 by a hair.
    if low < -0.01 or high > 1.01:
        raise _not_probabilities(spec, info, f"holds {low:.3g} to {high:.3g}")


def _not_probabilities(spec: ModelSpec, info: TensorInfo, what: str) -> ContractError:
    return ContractError(
        f"{spec.name}: scores output {info.name!r} {what}, which are not probabilities",
        "set the contract's option activation to softmax or sigmoid",
    )
