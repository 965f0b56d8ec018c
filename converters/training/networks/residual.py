"""``resnet``: the small residual network of He et al., "Deep Residual Learning", 2015, for CIFAR. Needs
TensorFlow."""

from __future__ import annotations

from typing import Any

from converters.training.networks import Design, reductions
from converters.training.networks.blocks import (
    activate,
    begin,
    channels,
    conv,
    conv_norm_act,
    finish,
    layers,
    norm,
)
from edgecam.errors import UsageError

_DEPTH = 20
_WIDTHS = (16, 32, 64)


def build(name: str, design: Design) -> Any:
    """
    Raises:
        UsageError: a depth that no whole number of blocks makes.
    """
    widths = tuple(design.widths or _WIDTHS)
    depth = design.depth or _DEPTH
    blocks, rest = divmod(depth - 2, 2 * len(widths))
    if rest or blocks < 1:
        step = 2 * len(widths)
        raise UsageError(f"resnet of {depth} layers", f"{step + 2}, {2 * step + 2}, {3 * step + 2}, ...")
    image, x = begin(design)
    for number in range(2 - reductions(design.input_size)):
        x = conv_norm_act(x, design, channels(widths[0], design), 3, f"reduce{number + 1}", strides=2)
    x = conv_norm_act(x, design, channels(widths[0], design), 3, "stem")
    for stage, filters in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, design, channels(filters, design), strides, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return finish(image, x, design, name)


def _block(x: Any, design: Design, filters: int, strides: int, name: str) -> Any:
    y = conv_norm_act(x, design, filters, 3, f"{name}_conv1", strides=strides)
    y = norm(conv(y, filters, 3, f"{name}_conv2"), f"{name}_conv2_bn")
    if strides > 1 or x.shape[-1] != filters:
        x = norm(conv(x, filters, 1, f"{name}_short", strides=strides), f"{name}_short_bn")
    return activate(layers.Add(name=f"{name}_add")([x, y]), design, f"{name}_act")
