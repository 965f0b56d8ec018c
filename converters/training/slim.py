"""Weights of a MobileNetV2 out of a detector's tfjs graph, under the names of ``keras.applications``.

Such a graph has batch normalisation folded into what is before it: there are left of each an offset and,
behind depthwise convolutions, a factor. The layers get these with a mean of 0 and a variance of 1: the same
answers in inference, but nothing that training with the statistics of a batch could go on from. Hence they
belong among the ``frozen`` ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters import tfjs
from edgecam.types import Array

_EPSILON = 1e-3  # of the normalisations in keras.applications.MobileNetV2
_PLACE = re.compile(
    r"(?:.*/)?MobilenetV2/(?:(Conv|Conv_1)|(expanded_conv(?:_\d+)?)/(expand|depthwise|project))/"
)
_ENDS = {"Conv": ("Conv1", "bn_Conv1"), "Conv_1": ("Conv_1", "Conv_1_bn")}


def layers(path: Path) -> dict[str, list[Array]]:
    """Layer name -> its weights, in Keras's order.

    Args:
        path: ``model.json`` of a tfjs graph model, the weight files beside it.

    Raises:
        ModelError: it cannot be read.
    """
    weights = tfjs.read_weights(path, tfjs.read_json(path))
    found: dict[str, list[Array]] = {}
    places = filter(None, map(_PLACE.match, weights))
    for prefix, place in {place.group(0): place for place in places}.items():
        convolution, norm = _names(place)
        kernel, factor, offset = _parts(weights, prefix)
        if kernel is None or offset is None:
            continue
        found[convolution] = [kernel]
        ones = np.ones_like(offset)
        gamma = ones if factor is None else factor
        found[norm] = [gamma, offset, np.zeros_like(offset), ones - np.float32(_EPSILON)]
    return found


def _names(place: re.Match[str]) -> tuple[str, str]:
    """Of the convolution and of the normalisation behind it."""
    end, block, part = place.groups()
    if end:
        return _ENDS[end]
    name = f"{block.replace('expanded_conv_', 'block_')}_{part}"
    return name, f"{name}_BN"


def _parts(weights: Mapping[str, Array], prefix: str) -> tuple[Array | None, Array | None, Array | None]:
    """Kernel, factor and offset of what lies under a name."""
    kernels = (f"{prefix}Conv2D/merged_input", f"{prefix}depthwise_weights")
    kernel = next((weights[name] for name in kernels if name in weights), None)
    norm = f"{prefix}BatchNorm/batchnorm/"
    return kernel, weights.get(f"{norm}mul"), weights.get(f"{norm}sub")
