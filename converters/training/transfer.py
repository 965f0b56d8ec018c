"""Weights carried from one network to another, by layer name and shape. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.steps.base import Report
from converters.training.freeze import flat
from edgecam.errors import EdgecamError, ModelError, UsageError
from edgecam.types import Array

IMAGENET = "imagenet"
_SHOWN = 6


@dataclass(frozen=True)
class Carried:
    """What was carried over.

    Attributes:
        layers: names of those that have new weights.
        shapes: names of those that differ in shape.
        missing: names of those that the source lacks.
        unused: names of the source's layers that nobody took.
    """

    layers: tuple[str, ...]
    shapes: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]


Weights = Mapping[str, Sequence[Array]]


def of(model: Any) -> Weights:
    """Layer name -> weights of a model's layers, those of models within included."""
    return {layer.name: layer.get_weights() for layer in flat(model) if _own(layer)}


def carry(theirs: Weights, target: Any) -> Carried:
    """Give a model's layers the weights of layers of the same name and shapes."""
    taken, shapes, missing = [], [], []
    for layer in flat(target):
        if not _own(layer):
            continue
        other = theirs.get(layer.name)
        if other is None:
            missing.append(layer.name)
        elif [w.shape for w in other] != [w.shape for w in layer.weights]:
            shapes.append(layer.name)
        else:
            layer.set_weights(other)
            taken.append(layer.name)
    unused = [name for name in theirs if name not in {*taken, *shapes}]
    return Carried(tuple(taken), tuple(shapes), tuple(missing), tuple(unused))


def _own(layer: Any) -> bool:
    """Whether it has weights itself, not in layers within."""
    return bool(layer.weights) and not hasattr(layer, "layers")


def carry_over(model: Any, weights: str, report: Report) -> tuple[str, ...]:
    """Carry the weights of a file, or those for ImageNet, into a new network; what was and was not carried
    over is told.

    Args:
        model: a network of :mod:`converters.training.networks`.
        weights: a ``.keras`` or ``.h5`` file, ``model.json`` of a detector on MobileNetV2 in the format of
            tfjs, or ``imagenet``.
        report: hears of it.

    Returns:
        Names of the layers that keep their random weights.

    Raises:
        ModelError: the file cannot be read; or no layer fits.
        EdgecamError: this machine has no weights for ImageNet and cannot fetch them.
    """
    from converters.training import files, slim

    if weights == IMAGENET:
        theirs = of(_imagenet(model))
    elif weights.endswith(".json"):
        theirs = slim.layers(Path(weights))
    else:
        theirs = of(files.load_model(Path(weights)))
    found = carry(theirs, model)
    if not found.layers:
        raise ModelError(
            f"{weights}: no layer fits {model.name} by name and shape",
            f"it has {_listed(found.unused + found.shapes)}; the network has {_listed(found.missing)}",
        )
    total = len(found.layers) + len(found.shapes) + len(found.missing)
    report.line(f"weights: {len(found.layers)} of {total} layers carried over from {weights}")
    for what, names in (
        ("differ in shape and begin anew", found.shapes),
        ("are not in it and begin anew", found.missing),
        ("of it were not used", found.unused),
    ):
        if names:
            report.line(f"weights: {len(names)} layers {what}: {_listed(names)}")
    return found.shapes + found.missing


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _imagenet(model: Any) -> Any:
    """The network of ``keras.applications`` with its weights: from Keras's cache, or fetched."""
    import keras

    kinds = {
        "mobilenet_v1": "MobileNet",
        "mobilenet_v2": "MobileNetV2",
        "mobilenet_v3": "MobileNetV3Small",
        "mobilenet_v3_large": "MobileNetV3Large",
    }
    name = model.name.removeprefix("ssd_")  # a detector takes those of its backbone
    if name not in kinds:
        raise UsageError(
            f"there are no weights for ImageNet for {model.name}", f"for {', '.join(kinds)} there are"
        )
    try:
        return getattr(keras.applications, kinds[name])(weights=IMAGENET, include_top=False)
    except Exception as error:
        raise EdgecamError(
            f"this machine has no weights of {model.name} for ImageNet and cannot fetch them",
            "name a .keras or .h5 file by --weights, or copy Keras's file into ~/.keras/models",
        ) from error
