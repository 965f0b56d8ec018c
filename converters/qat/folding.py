"""Batch normalisation folded into the layer before it, as converters do (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2).

What comes out holds weights in ``Conv2D``, ``DepthwiseConv2D`` and ``Dense`` only: a separable convolution
becomes two, a normalisation that nothing takes up a depthwise convolution of 1x1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converters import layergraph
from converters.layergraph import Copier, LayerGraph, Node
from converters.pruning.rules import last_axis
from converters.qat import places
from edgecam.errors import ModelError
from edgecam.types import Array

#: layers with weights that are quantised, and the axis of the kernel that has the output's channels
KERNELS: Mapping[str, int] = {"Conv2D": 3, "DepthwiseConv2D": 2, "Dense": 1}
_FOLDED_INTO = (*KERNELS, "SeparableConv2D")
_OF_DEPTHWISE = ("kernel_size", "strides", "padding", "dilation_rate", "trainable", "dtype")


@dataclass(eq=False)
class _Made:
    """A new layer and the weights that it gets once it is built."""

    layer: Any
    weights: list[Array] = field(default_factory=list)


def fold(model: Any) -> Any:
    """The model without batch normalisation, laid flat; it gives the same answers (not in training).

    Raises:
        ModelError: a layer with weights that is not understood; it is named.
    """
    graph = layergraph.read(model)
    _refuse(graph)
    return _Folder(graph).run()


def _refuse(graph: LayerGraph) -> None:
    for node in graph.nodes:
        layer, known = node.operation, (*_FOLDED_INTO, "BatchNormalization", "Normalization", "PReLU")
        own = not type(layer).__module__.startswith("keras.")
        if getattr(layer, "weights", None) and (node.kind not in known or own):
            raise _unknown(node, "its kind is not known")
        if getattr(layer, "data_format", None) == "channels_first":
            raise _unknown(node, "its channels come first")
        if node.kind == "BatchNormalization" and not last_axis(layer.axis, len(node.shape) + 1):
            raise _unknown(node, f"it normalises along axis {layer.axis}")
        if node.kind == "DepthwiseConv2D" and layer.depth_multiplier != 1:
            raise _unknown(node, f"its depth multiplier is {layer.depth_multiplier}")
    for calls in graph.calls().values():
        if len(calls) > 1 and calls[0].kind in (*_FOLDED_INTO, "BatchNormalization"):
            raise _unknown(calls[0], "it is used in several places")


def _unknown(node: Node, why: str) -> ModelError:
    return ModelError(
        f"layer {node.name!r} ({node.kind}) cannot be trained for int8: {why}",
        "replace the layer, or leave the step qat out; nothing has been changed",
    )


def scale_and_shift(norm: Any) -> tuple[Array, Array]:
    """What a batch normalisation does to each channel: x * scale + shift, float64 (C,)."""
    mean, variance = (np.asarray(v.numpy(), np.float64) for v in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma.numpy(), np.float64) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta.numpy(), np.float64) if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


class _Folder:
    def __init__(self, graph: LayerGraph) -> None:
        self._graph = graph
        self._copier = Copier()
        self._made: list[_Made] = []
        self._norms: dict[int, Any] = {}  # id of a layer -> the normalisation that goes into it
        self._gone: set[int] = set()  # ids of normalisations

    def run(self) -> Any:
        for node in self._graph.nodes:
            norm = self._norm_behind(node)
            if norm is not None:
                self._norms[id(node.operation)] = norm
                self._gone.add(id(norm))
        model = layergraph.build(self._graph, self._make)
        self._copier.copy_weights()
        for made in self._made:
            made.layer.set_weights(made.weights)
        return model

    def _norm_behind(self, node: Node) -> Any:
        """The normalisation that alone reads this layer's bare sums, else None."""
        readers = self._graph.readers[node.index]
        linear = getattr(getattr(node.operation, "activation", None), "__name__", "linear") == "linear"
        if node.kind not in _FOLDED_INTO or len(readers) != 1 or not linear:
            return None
        reader = self._graph.nodes[readers[0]]
        if reader.kind != "BatchNormalization" or node.index in self._graph.results:
            return None
        return reader.operation

    def _make(self, operation: Any) -> Callable[..., Any]:
        kind = type(operation).__name__
        if kind == "BatchNormalization":
            if id(operation) in self._gone:
                return lambda x, *_, **__: x
            return self._as_depthwise(operation)
        if kind == "SeparableConv2D":
            return self._split(operation)
        if kind in KERNELS:
            return self._with_norm(operation, operation.get_weights())
        made: Callable[..., Any] = self._copier(operation)
        return made

    def _with_norm(self, operation: Any, weights: list[Array]) -> Callable[..., Any]:
        """The layer with a bias and, where there is one, the normalisation in its weights."""
        norm = self._norms.get(id(operation))
        layer = self._layer(type(operation), operation.get_config(), operation.name)
        kernel = np.asarray(weights[0], np.float64)
        bias = np.asarray(weights[1], np.float64) if operation.use_bias else 0.0
        axis = KERNELS[type(operation).__name__]
        scale, shift = scale_and_shift(norm) if norm is not None else (np.ones(kernel.shape[axis]), 0.0)
        across = [1] * kernel.ndim
        across[axis] = -1
        made = [kernel * scale.reshape(across), bias * scale + shift]
        self._made.append(_Made(layer, [np.asarray(value, np.float32) for value in made]))
        return self._ended(operation, layer)

    def _layer(self, kind: Any, config: Mapping[str, Any], name: str) -> Any:
        changes = {"use_bias": True, "name": self._copier.name(name)}
        return kind.from_config({**config, **changes})

    def _ended(self, operation: Any, layer: Any) -> Callable[..., Any]:
        """The layer; an activation that int8 computes apart from it becomes a layer of its own."""
        import keras

        node = next(n for n in self._graph.nodes if n.operation is operation)
        if places.activation(node) in ("", "linear", "relu", "relu6"):
            return layer  # type: ignore[no-any-return]
        apart = keras.layers.Activation(
            operation.activation, name=self._copier.name(f"{operation.name}_{places.activation(node)}")
        )
        layer.activation = keras.activations.linear
        return lambda x, *_, **__: apart(layer(x))

    def _split(self, operation: Any) -> Callable[..., Any]:
        import keras

        if operation.depth_multiplier != 1:
            raise ModelError(
                f"layer {operation.name!r} (SeparableConv2D) cannot be trained for int8: its depth multiplier"
                f" is {operation.depth_multiplier}",
                "replace the layer, or leave the step qat out; nothing has been changed",
            )
        config, weights = operation.get_config(), operation.get_weights()
        depth_config = {key: config[key] for key in _OF_DEPTHWISE}
        depth = self._layer(keras.layers.DepthwiseConv2D, depth_config, f"{operation.name}_depthwise")
        self._made.append(_Made(depth, [weights[0], np.zeros(weights[0].shape[2], np.float32)]))
        point_config = {
            "filters": config["filters"],
            "kernel_size": 1,
            "activation": config["activation"],
            "dtype": config["dtype"],
        }
        point = self._layer(keras.layers.Conv2D, point_config, operation.name)
        norm = self._norms.get(id(operation))
        kernel, bias = np.asarray(weights[1], np.float64), (weights[2] if operation.use_bias else 0.0)
        scale, shift = scale_and_shift(norm) if norm is not None else (np.ones(kernel.shape[3]), 0.0)
        made = [kernel * scale, np.broadcast_to(bias * scale + shift, kernel.shape[3])]
        self._made.append(_Made(point, [np.asarray(value, np.float32) for value in made]))
        end = self._ended(operation, point)
        return lambda x, *_, **__: end(depth(x))

    def _as_depthwise(self, norm: Any) -> Callable[..., Any]:
        """A normalisation that stands alone multiplies each channel, as a depthwise kernel of 1x1 does."""
        import keras

        scale, shift = (np.asarray(value, np.float32) for value in scale_and_shift(norm))
        layer = self._layer(keras.layers.DepthwiseConv2D, {"kernel_size": 1}, norm.name)
        self._made.append(_Made(layer, [scale.reshape(1, 1, -1, 1), shift]))

        def call(x: Any, *_: Any, **__: Any) -> Any:
            if len(x.shape) == 4:
                return layer(x)
            flat = keras.layers.Reshape((1, 1, x.shape[-1]), name=self._copier.name(f"{norm.name}_in"))(x)
            out = keras.layers.Reshape(x.shape[1:], name=self._copier.name(f"{norm.name}_out"))
            return out(layer(flat))

        return call
