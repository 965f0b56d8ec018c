"""A decoder's options: typed, in range, the user's before the contract's."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError, UnknownNameError, UsageError
from edgecam.types import Floats, HeadOptions, Ints

MOST = 1_000_000  # no count or offset of a camera's model is larger; a file's word could be
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is worth reporting.

    Attributes:
        threshold: least score, 0 to 1.
        shown: the same, before ``HeadOptions.weak`` makes it less.
        top_k: most results.
        iou: overlap at which two boxes are one object, 0 to 1.
        classes: the class ids to keep, ascending; None for all.
        agnostic: boxes of different classes suppress each other too (option ``class_agnostic``).
    """

    threshold: float
    top_k: int
    iou: float
    classes: Ints | None
    agnostic: bool = False
    shown: float = 0.0


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
        threshold=float(found["threshold"]) * options.weak,
        shown=float(found["threshold"]),
        top_k=int(found["top_k"]),
        iou=float(found["iou"]),
        classes=_class_ids(spec, options),
        agnostic=flag(spec.options, "class_agnostic", False),
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
        raise ContractError(f"option {name} is {_shown(value)}", f"give a number from {low:g} to {high:g}")
    return float(value)


def integer(
    options: Mapping[str, Any], name: str, default: int = _MISSING, low: int = -MOST, high: int = MOST
) -> int:
    """A contract option that is a whole number within [low, high]. Errors as :func:`number`."""
    value = _get(options, name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ContractError(f"option {name} is {_shown(value)}", f"give a whole number from {low} to {high}")
    return value


def flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    """A contract option that is true or false. Errors as :func:`number`."""
    value = _get(options, name, default)
    if not isinstance(value, bool):
        raise ContractError(f"option {name} is {_shown(value)}", "give true or false")
    return value


def choice(options: Mapping[str, Any], name: str, known: Sequence[str], default: str) -> str:
    """A contract option that is one of ``known``. Errors as :func:`number`."""
    value = _get(options, name, default)
    if value not in known:
        raise ContractError(f"option {name} is {_shown(value)}", f"give one of {', '.join(known)}")
    return str(value)


def numbers(options: Mapping[str, Any], name: str, default: Sequence[float] = _MISSING) -> Floats:
    """A contract option that is a list of numbers, or of equal lists of numbers. Errors as :func:`number`."""
    value = _get(options, name, default)
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0, np.float32)
    if not array.ndim or not array.size or not np.isfinite(array).all():
        raise ContractError(f"option {name} is not a list of numbers", "write it as [1, 2, 0.5]")
    return array


def _shown(value: Any) -> str:
    """A value out of a file, short enough for one line."""
    return reprlib.repr(value)


def _get(options: Mapping[str, Any], name: str, default: Any) -> Any:
    if name not in options and default is _MISSING:
        raise ContractError(f"option {name} is missing", "add it to the contract's options")
    return options.get(name, default)
