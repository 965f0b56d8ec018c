"""``squeezenet``: SqueezeNet 1.1 (Iandola et al., 2016, and the authors' later version). Needs TensorFlow.

Batch normalisation is added: from random weights it does not learn well without.
"""

from __future__ import annotations

from typing import Any

import keras

from converters.training.networks import Design, reductions
from converters.training.networks.blocks import begin, channels, conv_norm_act, layers

#: (channels squeezed to, channels expanded to by each of both kernels); None pools
_FIRES = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))


def build(name: str, design: Design) -> Any:
    image, x = begin(design)
    dropped = reductions(design.input_size)
    x = conv_norm_act(x, design, channels(64, design), 3, "stem", strides=1 if dropped else 2)
    if dropped < 2:
        x = _pool(x, 1)
    number, pools = 1, 1
    for fire in _FIRES:
        if fire is None:
            pools += 1
            x = _pool(x, pools)
            continue
        number += 1
        x = _fire(x, design, fire, f"fire{number}")
    if design.dropout:
        x = layers.Dropout(design.dropout, name="dropout")(x)
    x = layers.Conv2D(design.classes, 1, name="last")(x)
    logits = layers.GlobalAveragePooling2D(name="logits")(x)
    return keras.Model(image, layers.Softmax(name="scores")(logits), name=name)


def _pool(x: Any, number: int) -> Any:
    return layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")(x)


def _fire(x: Any, design: Design, sizes: tuple[int, int], name: str) -> Any:
    squeezed, expanded = (channels(size, design) for size in sizes)
    x = conv_norm_act(x, design, squeezed, 1, f"{name}_squeeze")
    both = [conv_norm_act(x, design, expanded, kernel, f"{name}_expand{kernel}") for kernel in (1, 3)]
    return layers.Concatenate(name=f"{name}_concat")(both)
