"""What each kind of layer does to channels: data, and the few conditions under which it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from converters.layergraph import Node

MAKE, SPREAD, HAND, HOLD, TIE, CONCAT, RESHAPE = (
    "make",
    "spread",
    "hand",
    "hold",
    "tie_all",
    "concat",
    "reshape",
)

_HANDED = """
BatchNormalization Activation ReLU LeakyReLU ELU PReLU Identity Dropout SpatialDropout2D GaussianNoise
GaussianDropout ActivityRegularization MaxPooling2D AveragePooling2D GlobalAveragePooling2D
GlobalMaxPooling2D ZeroPadding2D Cropping2D UpSampling2D Resizing Rescaling
Relu Relu6 Sigmoid HardSigmoid Silu HardSilu Tanh Gelu Elu LeakyRelu Softplus Identity
"""
_HELD = "Softmax Normalization RandomFlip RandomRotation RandomCrop RandomZoom RandomTranslation"
_TIED = "Add Subtract Multiply Average Maximum Minimum Divide TrueDivide"

#: class of an operation -> what it does
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("Conv2D", "Dense", "SeparableConv2D", "Conv2DTranspose"), MAKE),
    "DepthwiseConv2D": SPREAD,
    **dict.fromkeys(_HANDED.split(), HAND),
    **dict.fromkeys(_HELD.split(), HOLD),
    **dict.fromkeys(_TIED.split(), TIE),
    "Concatenate": CONCAT,
    **dict.fromkeys(("Flatten", "Reshape", "Permute"), RESHAPE),
}


@dataclass(frozen=True)
class Makes:
    """A layer with weights.

    Attributes:
        size: the key of its configuration that says how many channels it makes, "" for none of its own.
        weights: name of a weight -> axis of it -> whose channels: ``in`` or ``out``, or ``spread`` for those
            of the input, each as often as the depth multiplier says.
    """

    size: str
    weights: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


_BIAS = {"bias": {0: "out"}}

#: layers that make channels
MAKES: Mapping[str, Makes] = {
    "Conv2D": Makes("filters", {"kernel": {2: "in", 3: "out"}, **_BIAS}),
    "Conv2DTranspose": Makes("filters", {"kernel": {2: "out", 3: "in"}, **_BIAS}),
    "Dense": Makes("units", {"kernel": {0: "in", 1: "out"}, **_BIAS}),
    "SeparableConv2D": Makes(
        "filters",
        {"depthwise_kernel": {2: "in"}, "pointwise_kernel": {2: "spread", 3: "out"}, **_BIAS},
    ),
}
#: all layers whose weights have channels
WEIGHED: Mapping[str, Makes] = {
    **MAKES,
    "DepthwiseConv2D": Makes("", {"kernel": {2: "in"}, **_BIAS}),
    "BatchNormalization": Makes(
        "", {name: {0: "out"} for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    ),
    "PReLU": Makes("", {"alpha": {-1: "out"}}),
}


def last_axis(axis: object, rank: int) -> bool:
    """Whether it means the last axis of a tensor of that rank, batch included."""
    value = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    return isinstance(value, int) and value in (-1, rank - 1)


def objection(node: Node, shapes: Sequence[tuple[int | None, ...]]) -> str:
    """Why the rule for this kind does not hold for this layer, "" if it does.

    Args:
        node: the layer.
        shapes: of its inputs, without the batch.
    """
    layer = node.operation
    if getattr(layer, "data_format", None) == "channels_first":
        return "its channels come first"
    if node.kind in ("Conv2D", "Conv2DTranspose") and getattr(layer, "groups", 1) != 1:
        return f"its kernels work in {layer.groups} groups"
    if node.kind == "BatchNormalization" and not last_axis(layer.axis, len(shapes[0]) + 1):
        return f"it normalises along axis {layer.axis}"
    if node.kind == "PReLU" and 3 in (layer.shared_axes or ()):
        return "its channels share a slope"
    if KINDS.get(node.kind) == TIE and any(
        not isinstance(value, int | float | bool | type(None))
        for value in (*_plain(node.args), *_plain(node.kwargs.values()))
    ):
        return "it computes with a constant tensor"
    return ""


def _plain(values: object) -> list[object]:
    """What is not a tensor among arguments."""
    from converters.layergraph import Ref

    if isinstance(values, Ref):
        return []
    if isinstance(values, list | tuple) or type(values).__name__ == "dict_values":
        return [plain for value in values for plain in _plain(value)]  # type: ignore[attr-defined]
    return [values]


def mixes(node: Node) -> bool:
    """Whether an activation looks at all channels at once."""
    activation = getattr(node.operation, "activation", None)
    name = str(getattr(activation, "__name__", getattr(activation, "name", "")) or "")
    return "softmax" in name or type(activation).__name__ == "Softmax"
