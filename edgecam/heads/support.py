"""What heads have in common: options, output roles, scores in the quantised domain, the final cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError, UnknownNameError, UsageError
from edgecam.quant import dequantize
from edgecam.types import Array, Detections, Floats, Geometry, HeadOptions, Ints, TensorInfo

Mask: TypeAlias = npt.NDArray[np.bool_]

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is worth reporting.

    Attributes:
        threshold: least score, 0 to 1.
        top_k: most results.
        iou: overlap at which two boxes are one object, 0 to 1.
        classes: the class ids to keep, ascending; None for all.
    """

    threshold: float
    top_k: int
    iou: float
    classes: Ints | None


def limits(
    spec: ModelSpec, options: HeadOptions, *, threshold: float, top_k: int, iou: float = 0.5
) -> Limits:
    """The user's wish, else the contract's option of that name, else the default given here.

    Raises:
        UsageError: the user's value is out of range.
        ContractError: the contract's is.
        UnknownNameError: ``options.classes`` names a label the model has not.
    """
    found = {
        "threshold": number(spec.options, "threshold", threshold, 0, 1),
        "top_k": integer(spec.options, "top_k", top_k, 1),
        "iou": number(spec.options, "iou", iou, 0, 1),
    }
    for name in found:
        wish = getattr(options, name)
        if wish is not None:
            ok = wish >= 1 if name == "top_k" else 0 <= wish <= 1
            if not ok:
                span = "1 or more" if name == "top_k" else "from 0 to 1"
                raise UsageError(f"{name} is {wish}", f"give a number {span}")
            found[name] = wish
    return Limits(
        float(found["threshold"]), int(found["top_k"]), float(found["iou"]), _class_ids(spec, options)
    )


def _class_ids(spec: ModelSpec, options: HeadOptions) -> Ints | None:
    if not options.classes:
        return None
    ids: set[int] = set()
    for name in options.classes:
        # Two classes may share a label (ImageNet's two cranes); an unlabelled one is shown as #7.
        same = [i for i, label in enumerate(spec.labels) if label and label == name]
        if not same and not spec.labels and name.startswith("#") and name[1:].isdecimal():
            same = [int(name[1:])]
        if not same:
            raise UnknownNameError("label", name, [label for label in spec.labels if label] or ["#0", "#1"])
        ids.update(same)
    return np.array(sorted(ids), np.int32)


def number(
    options: Mapping[str, Any], name: str, default: float = _MISSING, low: float = -1e9, high: float = 1e9
) -> float:
    """A contract option that is a number within [low, high].

    Raises:
        ContractError: of another type or out of range; or absent, without a default.
    """
    value = _get(options, name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ContractError(f"option {name} is {value!r}", f"give a number from {low:g} to {high:g}")
    return float(value)


def integer(options: Mapping[str, Any], name: str, default: int = _MISSING, low: int = -(2**31)) -> int:
    """A contract option that is a whole number of at least ``low``. Errors as :func:`number`."""
    value = _get(options, name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ContractError(f"option {name} is {value!r}", f"give a whole number of at least {low}")
    return value


def flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    """A contract option that is true or false. Errors as :func:`number`."""
    value = _get(options, name, default)
    if not isinstance(value, bool):
        raise ContractError(f"option {name} is {value!r}", "give true or false")
    return value


def choice(options: Mapping[str, Any], name: str, known: Sequence[str], default: str) -> str:
    """A contract option that is one of ``known``. Errors as :func:`number`."""
    value = _get(options, name, default)
    if value not in known:
        raise ContractError(f"option {name} is {value!r}", f"give one of {', '.join(known)}")
    return str(value)


def numbers(options: Mapping[str, Any], name: str, default: Sequence[float] = _MISSING) -> Floats:
    """A contract option that is a list of numbers, or of equal lists of numbers. Errors as :func:`number`."""
    value = _get(options, name, default)
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(0, np.float32)
    if not array.ndim or not array.size or not np.isfinite(array).all():
        raise ContractError(f"option {name} is not a list of numbers", "write it as [1, 2, 0.5]")
    return array


def _get(options: Mapping[str, Any], name: str, default: Any) -> Any:
    if name not in options and default is _MISSING:
        raise ContractError(f"option {name} is missing", "add it to the contract's options")
    return options.get(name, default)


def find_output(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int:
    """The index of the output that the contract gives this role, by name or decimal index.

    Raises:
        ContractError: the role is not assigned, or to an output that the model has not.
    """
    names = [info.name for info in outputs]
    known = ", ".join(f"{i}={name}" for i, name in enumerate(names))
    wanted = spec.outputs.get(role)
    if wanted is None:
        raise ContractError(
            f"{spec.name}: no output has the role {role!r}", f"name it in the contract's outputs; has {known}"
        )
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise ContractError(
        f"{spec.name}: role {role!r} names output {wanted!r}, which is absent", f"has {known}"
    )


def only_output(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int:
    """As :func:`find_output`, but a model's only output needs no role."""
    return 0 if len(outputs) == 1 and role not in spec.outputs else find_output(spec, outputs, role)


def check_shape(
    spec: ModelSpec, info: TensorInfo, role: str, wanted: tuple[int | None, ...], remedy: str
) -> None:
    """
    Raises:
        ContractError: the output has another shape; None stands for any size.
    """
    fits = len(wanted) == len(info.shape) and all(
        w is None or w == n for w, n in zip(wanted, info.shape, strict=True)
    )
    if not fits:
        text = ", ".join("N" if n is None else str(n) for n in wanted)
        raise ContractError(
            f"{spec.name}: {role} output {info.name!r} has shape {list(info.shape)}, expected [{text}]",
            remedy,
        )


def check_labels(spec: ModelSpec, classes: int) -> None:
    """
    Raises:
        ContractError: the model has labels, but not one for each class.
    """
    if spec.labels and len(spec.labels) != classes:
        raise ContractError(
            f"{spec.name}: {len(spec.labels)} labels for {classes} classes",
            "correct labels.txt (one line a class), or the option label_offset",
        )


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

    def _activate(self, values: Floats) -> Floats:
        if self._activation == "none":
            return values
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


def to_detections(
    xyxy: Floats,
    score: Floats,
    class_id: Array,
    geometry: Geometry,
    top_k: int,
    keypoints: Floats | None = None,
) -> Detections:
    """Boxes (N, 4) and keypoints (N, K, 2) in input pixels to results in frame pixels, best first.

    A box that is empty inside the frame (it lay in the letterbox's border) is dropped.
    """
    boxes = geometry.to_frame(xyxy)
    index = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    index = index[np.argsort(-score[index], kind="stable")[:top_k]]
    return Detections(
        boxes[index],
        score[index],
        class_id[index].astype(np.int32),
        None if keypoints is None else geometry.to_frame(keypoints[index]),
    )
