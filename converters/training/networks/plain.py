"""Networks without branches: ``cnn`` and ``plain``. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

from converters.training.networks import Design, reductions
from converters.training.networks.blocks import activate, begin, channels, conv, finish, layers, norm

_WIDTHS = (64, 256, 256)
_STEM = 24  # as many as a 2x2 patch of three colours has directions, both ways


def build(name: str, design: Design) -> Any:
    return _cnn(design) if name == "cnn" else _plain(design)


def _cnn(design: Design) -> Any:
    image, x = begin(design)
    for number, filters in enumerate((32, 64), 1):
        x = layers.Conv2D(channels(filters, design), 3, kernel_initializer="he_normal", name=f"conv{number}")(
            x
        )
        x = activate(x, design, f"conv{number}_act")
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(channels(128, design), kernel_initializer="he_normal", name="hidden")(x)
    return finish(image, activate(x, design, "hidden_act"), design, "cnn")


def _plain(design: Design) -> Any:
    """The shape of the fast CIFAR-10 trainings (K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
    2024): a stem of 2x2 patches, then blocks that pool before they normalise."""
    image, x = begin(design)
    strides = 2 ** (2 - reductions(design.input_size))
    x = layers.Conv2D(_STEM, max(2, strides), strides=strides, padding="valid", name="stem")(x)
    x = activate(x, design, "stem_act")
    for number, filters in enumerate(design.widths or _WIDTHS, 1):
        width = channels(filters, design)
        x = conv(x, width, 3, f"block{number}_conv1")
        x = layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
        x = activate(norm(x, f"block{number}_bn1"), design, f"block{number}_act1")
        x = conv(x, width, 3, f"block{number}_conv2")
        x = activate(norm(x, f"block{number}_bn2"), design, f"block{number}_act2")
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    return finish(image, x, design, "plain")
