"""Anchor boxes of the SSD family, generated as the training code does or taken from the contract.

Anchors are float32 (N, 4): centre y, centre x, height, width, relative to the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam.errors import ContractError
from edgecam.heads.options import MOST, choice, flag, integer, number, numbers
from edgecam.types import Floats

_MOST_VALUES = 100  # layers, or shapes of one
KINDS = ("ssd", "efficientdet", "explicit")


def make_anchors(options: Any, width: int, height: int) -> Floats:
    """Anchors from the contract's option ``anchors``, an object with a ``kind``.

    ``ssd`` (Liu et al., "SSD: Single Shot MultiBox Detector", 2016, in the form of TensorFlow's Object
    Detection API): ``strides`` (default [16, 32, 64, 128, 256, 512]); ``min_scale`` 0.2 and ``max_scale``
    0.95, or a list ``scales``, one for each layer; ``aspect_ratios``, width by height (default
    [1, 2, 0.5, 3, 0.3333]); ``interpolated_scale``, aspect ratio of an additional anchor between this
    layer's scale and the next (default 1, 0 for none); ``reduce_lowest``, only three anchors in the first
    layer (default true).

    ``efficientdet`` (Tan et al., "EfficientDet", 2020): ``min_level`` 3, ``max_level`` 7, ``scales`` for
    each octave (default 3), ``aspect_ratios`` (default [1, 2, 0.5]), ``anchor_scale`` (default 4; the Lite
    models 0 to 2 have 3).

    ``explicit``: ``boxes``, a list of [centre y, centre x, height, width] relative to the input.

    Args:
        options: what the contract holds.
        width: of the input in pixels.
        height: of the input in pixels.

    Raises:
        ContractError: a parameter is missing, of a wrong type or out of range.
    """
    if not isinstance(options, Mapping):
        raise ContractError(
            "option anchors is missing", f"give an object with a kind: one of {', '.join(KINDS)}"
        )
    kind = choice(options, "kind", KINDS, "")
    if kind == "explicit":
        boxes = numbers(options, "boxes")
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ContractError("option anchors.boxes is not a list of four numbers each")
        return boxes
    if kind == "ssd":
        return _ssd(options, width, height)
    return _efficientdet(options, width, height)


def _ssd(options: Mapping[str, Any], width: int, height: int) -> Floats:
    strides = _positive(options, "strides", (16, 32, 64, 128, 256, 512), 1)
    ratios = _positive(options, "aspect_ratios", (1, 2, 1 / 2, 3, 1 / 3))
    low, high = number(options, "min_scale", 0.2, 0, 1), number(options, "max_scale", 0.95, 0, 1)
    spaced = np.linspace(low, high, len(strides))
    scales = _positive(options, "scales", [float(s) for s in spaced])
    if len(scales) != len(strides):
        raise ContractError(f"anchors: {len(scales)} scales for {len(strides)} strides", "give one for each")
    between = number(options, "interpolated_scale", 1.0, 0)
    reduce = flag(options, "reduce_lowest", True)
    layers = []
    for layer, (stride, scale) in enumerate(zip(strides, scales, strict=True)):
        if layer == 0 and reduce:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in ratios]
            following = scales[layer + 1] if layer + 1 < len(scales) else 1.0
            if between:
                shapes.append((float(np.sqrt(scale * following)), between))
        sizes = np.array([(s / np.sqrt(r), s * np.sqrt(r)) for s, r in shapes])
        layers.append(_grid(-(-height // int(stride)), -(-width // int(stride)), sizes))
    return np.concatenate(layers)


def _efficientdet(options: Mapping[str, Any], width: int, height: int) -> Floats:
    low = integer(options, "min_level", 3, 1, 16)
    high = integer(options, "max_level", 7, low, 16)
    octave = integer(options, "scales", 3, 1, 100)
    ratios = _positive(options, "aspect_ratios", (1, 2, 1 / 2))
    base = number(options, "anchor_scale", 4.0, 0.1)
    layers = []
    rows, columns = height, width
    for level in range(1, high + 1):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        if level < low:
            continue
        # One cell of this level, relative to the input.
        cell = np.array([1 / rows, 1 / columns])
        sizes = np.array(
            [
                base * 2 ** (step / octave) * cell * (1 / np.sqrt(ratio), np.sqrt(ratio))
                for step in range(octave)
                for ratio in ratios
            ]
        )
        layers.append(_grid(rows, columns, sizes))
    return np.concatenate(layers)


def _grid(rows: int, columns: int, sizes: Any) -> Floats:
    """Every size (height, width) in the middle of every cell, row by row."""
    check_count(rows * columns * len(sizes))
    y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1)
    centres = np.stack([(y + 0.5) / rows, (x + 0.5) / columns], axis=1)
    anchors = np.concatenate(
        [np.repeat(centres, len(sizes), axis=0), np.tile(sizes, (rows * columns, 1))], axis=1
    )
    return anchors.astype(np.float32)


def check_count(anchors: int) -> None:
    """
    Raises:
        ContractError: more anchors than any model has.
    """
    if anchors > MOST:
        raise ContractError(f"the options make {anchors} anchors", f"correct them: {MOST} are the most")


def _positive(options: Mapping[str, Any], name: str, default: Any, least: float = 1e-6) -> list[float]:
    values = [float(v) for v in numbers(options, name, default).reshape(-1)]
    if min(values) < least:
        raise ContractError(f"option anchors.{name} has {min(values):g}", f"give numbers from {least:g} on")
    if len(values) > _MOST_VALUES:
        raise ContractError(f"option anchors.{name} has {len(values)} values", f"{_MOST_VALUES} are the most")
    return values
