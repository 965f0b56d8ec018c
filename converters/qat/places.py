"""Which tensors of a folded network have a range of their own in int8."""

from __future__ import annotations

from converters.layergraph import LayerGraph, Node

# Activations that int8 kernels compute along with the layer before: what is between has no range.
_FUSED = ("relu", "relu6")
_FUSING = ("Conv2D", "DepthwiseConv2D", "Dense", "Add", "Subtract", "Multiply")
# What hands numbers on as they are, in the scale in which it gets them.
_SAME_SCALE = {
    *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "ZeroPadding2D", "Cropping2D", "Flatten"),
    *("Reshape", "Permute", "Identity", "UpSampling2D", "ActivityRegularization"),
    *("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"),
}
# Their scale is given by the format.
_GIVEN = ("softmax", "sigmoid", "tanh")
# Takes pixels as they come.
SCALING = ("Rescaling", "Normalization")


def ranged(graph: LayerGraph) -> list[int]:
    """The nodes behind which a range is learnt, in order."""
    return [node.index for node in graph.nodes if _has_range(graph, node)]


def names(graph: LayerGraph) -> dict[int, str]:
    """A name for each node that survives saving; ``@2`` marks the second call of a shared layer."""
    out = {}
    for calls in graph.calls().values():
        for number, node in enumerate(calls, 1):
            out[node.index] = node.name if number == 1 else f"{node.name}@{number}"
    return out


def takes_pixels(graph: LayerGraph) -> bool:
    """Whether it scales its input itself: that then goes from 0 to 255."""
    readers = graph.readers[graph.inputs[0]]
    return any(graph.nodes[reader].kind in SCALING for reader in readers)


def _has_range(graph: LayerGraph, node: Node) -> bool:
    if node.kind in _SAME_SCALE or activation(node) in _GIVEN:
        return False
    if node.kind == "Rescaling" and node.inputs[0] in graph.inputs and not _shifts(node):
        return False  # the converter merges it into the first convolution
    readers = [graph.nodes[n] for n in graph.readers[node.index]]
    if len(readers) != 1 or node.index in graph.results:
        return True
    if node.kind in _FUSING and fused(readers[0]):
        return False  # its sums leave it with the activation done
    return readers[0].kind != "Concatenate"  # all parts have the scale of the whole


def _shifts(node: Node) -> bool:
    offset = node.operation.offset
    return bool(offset if isinstance(offset, int | float) else any(offset))


def fused(node: Node) -> bool:
    """Whether it is an activation that a layer before computes along."""
    return node.kind in ("ReLU", "Relu", "Relu6", "Activation") and activation(node) in _FUSED


def activation(node: Node) -> str:
    """Name of what is computed of each number at the end, "" if nothing."""
    layer = node.operation
    if node.kind == "ReLU":
        return _of_relu(layer)
    if node.kind in ("Softmax", "Sigmoid", "Tanh", "Relu", "Relu6"):
        return node.kind.lower()
    found = getattr(layer, "activation", None)
    if type(found).__name__ == "ReLU":
        return _of_relu(found)
    return str(getattr(found, "__name__", getattr(found, "name", "")) or "")


def _of_relu(layer: object) -> str:
    if getattr(layer, "negative_slope", 0) or getattr(layer, "threshold", 0):
        return "other"
    return {None: "relu", 6: "relu6"}.get(getattr(layer, "max_value", None), "other")
