"""MobileNet 1, 2 and 3 from ``keras.applications``, their first strides taken out for small inputs. Needs
TensorFlow.

Layers keep their names, so weights for ImageNet and other copies of these networks can be carried over.
"""

from __future__ import annotations

from typing import Any

import keras

from converters.training.networks import Design, reductions
from converters.training.networks.blocks import begin, finish, layers

_MOMENTUM = 0.95  # theirs, 0.99 and 0.999, is for millions of pictures
_BUILT_AT = 96  # any size will do: the copy takes its own


def build(name: str, design: Design) -> Any:
    image, x = begin(design, "-1..1")
    base = _base(name, design)
    x = _laid_out(base, image, x, reductions(design.input_size))
    return finish(image, layers.GlobalAveragePooling2D(name="pool")(x), design, name)


def _base(name: str, design: Design) -> Any:
    applications = keras.applications
    shape = (_BUILT_AT, _BUILT_AT, design.channels)
    shared = {"input_shape": shape, "alpha": design.width, "include_top": False, "weights": None}
    if name == "mobilenet_v1":
        return applications.MobileNet(**shared)
    if name == "mobilenet_v2":
        return applications.MobileNetV2(**shared)
    kind = applications.MobileNetV3Large if name.endswith("large") else applications.MobileNetV3Small
    return kind(**shared, include_preprocessing=False)


def _laid_out(base: Any, image: Any, normalised: Any, dropped: int) -> Any:
    """The network's layers anew behind another input, without its first ``dropped`` halvings."""
    halving = [layer.name for layer in base.layers if _strides(layer) == 2][:dropped]

    def anew(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in halving:
            config["strides"] = (1, 1)
        if isinstance(layer, layers.BatchNormalization):
            config["momentum"] = _MOMENTUM
        if _strides(layer):
            config["padding"] = "same"
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        # Padding the picture first and then cutting the map ("valid") comes to the same as padding by the
        # convolution, which is faster on the device.
        x, *more = args
        x = normalised if x is image else x
        return x if isinstance(layer, layers.ZeroPadding2D) else layer(x, *more, **kwargs)

    copy = keras.models.clone_model(base, input_tensors=image, clone_function=anew, call_function=call)
    return copy.output


def _strides(layer: Any) -> int:
    """Of a convolution; 0 for any other layer."""
    return int(layer.strides[0]) if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) else 0
