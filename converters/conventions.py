"""How networks want their pictures: the conventions of ``keras.applications`` and plain ranges."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgecam.contract import Color
from edgecam.errors import UsageError


@dataclass(frozen=True)
class Convention:
    """How pixels become the input: ``real = (pixel - mean) / std``, channels ordered as ``color`` says.

    Attributes:
        name: what the user may write.
        color: ``rgb``, ``bgr`` or ``gray``.
        mean, std: one value or one a channel.
    """

    name: str
    color: Color
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def for_channels(self, channels: int) -> Convention:
        """The same for an input of 1 or 3 channels.

        Raises:
            UsageError: a gray input with values per channel.
        """
        if channels != 1:
            return self
        if len(self.mean) > 1 or len(self.std) > 1:
            raise UsageError(
                f"preprocessing {self.name!r} is for colour, the model takes gray pictures",
                "name a range: --preprocess 0..1, -1..1 or 0..255",
            )
        return replace(self, color="gray")


SIGNED = Convention("-1..1", "rgb", (127.5,), (127.5,))
UNIT = Convention("0..1", "rgb", (0.0,), (255.0,))
PIXELS = Convention("0..255", "rgb", (0.0,), (1.0,))
#: BGR less the mean colour of ImageNet, as Caffe did it
CAFFE = Convention("caffe", "bgr", (103.939, 116.779, 123.68), (1.0,))
#: RGB less ImageNet's mean over its standard deviation, as PyTorch does it
TORCH = Convention("torch", "rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

BASIC = (SIGNED, UNIT, PIXELS, CAFFE, TORCH)

#: networks of keras.applications, by the name of their module; what their preprocess_input does
NETWORKS = {
    **dict.fromkeys(("mobilenet", "mobilenet_v2", "inception_v3", "inception_resnet_v2"), SIGNED),
    **dict.fromkeys(("xception", "nasnet", "resnet_v2"), SIGNED),
    **dict.fromkeys(("resnet", "resnet50", "vgg16", "vgg19"), CAFFE),
    "densenet": TORCH,
    # These carry their scaling inside; preprocess_input does nothing.
    **dict.fromkeys(("mobilenet_v3", "efficientnet", "efficientnet_v2", "convnext"), PIXELS),
}
NAMES = (*(convention.name for convention in BASIC), *NETWORKS)


def parse(text: str) -> Convention:
    """A convention by name, or ``MEAN,STD``, or ``M1,M2,M3,S1,S2,S3`` with an optional ``bgr:`` before it.

    Raises:
        UsageError: neither.
    """
    named = {**{convention.name: convention for convention in BASIC}, **NETWORKS}
    if text in named:
        return replace(named[text], name=text)
    order, _, rest = text.rpartition(":")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError:
        numbers = []
    half = len(numbers) // 2
    if order not in ("", "rgb", "bgr") or len(numbers) not in (2, 6) or min(numbers[half:]) <= 0:
        close = difflib.get_close_matches(text, NAMES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown preprocessing {text!r}", f"{hint}one of {', '.join(NAMES)}, or MEAN,STD")
    color: Color = "bgr" if order == "bgr" else "rgb"
    return Convention(text, color, tuple(numbers[:half]), tuple(numbers[half:]))


# What the networks of keras.applications call themselves, where that is not the module's name.
_MODEL_NAMES = {
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3": "mobilenet_v3",
    "inceptionv3": "inception_v3",
    "inceptionresnetv2": "inception_resnet_v2",
    "resnet50v2": "resnet_v2",
    "resnet101v2": "resnet_v2",
    "resnet152v2": "resnet_v2",
    "efficientnetv2": "efficientnet_v2",
    "efficientnet-v2": "efficientnet_v2",
}


def of_networks(names: Sequence[str]) -> Convention | None:
    """What a model's (or a part's) name suggests, None if it is no network of ``keras.applications``."""
    prefixes = {**{name: name for name in NETWORKS}, **_MODEL_NAMES}
    for name in names:
        fitting = [prefix for prefix in prefixes if name.lower().startswith(prefix)]
        if fitting:
            network = prefixes[max(fitting, key=len)]
            return replace(NETWORKS[network], name=network)
    return None
