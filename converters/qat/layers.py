"""Keras layers that round as int8 does, with gradients as if they did not. Needs TensorFlow.

Weights are symmetric with a scale for each channel, from -127 to 127; activations have one scale and a zero
point. Both as TFLite's int8 (ai.google.dev/edge/litert/models/quantization_spec). Gradients go straight
through within the range (Jacob et al., 2018).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.quantizers import fake_quant_with_min_max_vars as fake_quant

_LEAST = 1e-6  # narrowest range
_WATCHING = 0.8  # momentum while nothing is rounded


def rounded(kernel: Any, axis: int) -> Any:
    """A kernel on the grid of int8: a scale for each index along ``axis``."""
    others = [n for n in range(len(kernel.shape)) if n != axis]
    # The scale follows the weights, it is not learnt: a gradient through it would pull at the largest.
    bound = ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), others), _LEAST))
    return fake_quant(kernel, -bound, bound, num_bits=8, narrow_range=True, axis=axis)


class _Rounding:
    """Mixed into a layer: it computes with a rounded kernel."""

    kernel_axis = 0

    def finish(self, sums: Any) -> Any:
        """Bias and activation."""
        sums = ops.add(sums, self.bias)  # type: ignore[attr-defined]
        activation = self.activation  # type: ignore[attr-defined]
        return sums if activation is None else activation(sums)

    def int8_kernel(self) -> Any:
        return rounded(self.kernel, self.kernel_axis)  # type: ignore[attr-defined]


class RoundingConv2D(_Rounding, keras.layers.Conv2D):  # type: ignore[misc]
    kernel_axis = 3

    def call(self, x: Any) -> Any:
        strides, dilation = list(self.strides), self.dilation_rate
        return self.finish(ops.conv(x, self.int8_kernel(), strides, self.padding, dilation_rate=dilation))


class RoundingDepthwiseConv2D(_Rounding, keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    kernel_axis = 2

    def call(self, x: Any) -> Any:
        kernel, dilation = self.int8_kernel(), self.dilation_rate
        return self.finish(ops.depthwise_conv(x, kernel, self.strides, self.padding, dilation_rate=dilation))


class RoundingDense(_Rounding, keras.layers.Dense):  # type: ignore[misc]
    kernel_axis = 1

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.finish(ops.matmul(x, self.int8_kernel()))


#: kind of a layer -> the same that rounds
ROUNDING: dict[str, Any] = {
    "Conv2D": RoundingConv2D,
    "DepthwiseConv2D": RoundingDepthwiseConv2D,
    "Dense": RoundingDense,
}


class _SameShape(keras.layers.Layer):  # type: ignore[misc]
    def compute_output_spec(self, x: Any, training: bool | None = None) -> Any:
        """Dense also where Keras takes a product with a number to be sparse."""
        return keras.KerasTensor(x.shape, x.dtype)


class Range(_SameShape):
    """Rounds a tensor to 256 values between a least and a greatest one.

    In training the range follows that of the batches as a moving average. While it is ``watching`` it does so
    without rounding, and faster.

    Args:
        momentum: of the moving average.
    """

    def __init__(self, momentum: float = 0.99, **more: Any) -> None:
        super().__init__(**more)
        self.momentum = momentum
        self.watching = False

    def build(self, shape: Any) -> None:
        """One range for the whole tensor."""
        self.low = self.add_weight(name="low", shape=(), initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool | None = None) -> Any:
        if training or self.watching:
            self._follow(x, _WATCHING if self.watching else self.momentum)
        if self.watching:
            return x
        return fake_quant(x, self.low, ops.maximum(self.high, self.low + _LEAST), num_bits=8)

    def _follow(self, x: Any, momentum: float) -> None:
        """Zero is always in the range: padding and ReLU need it exact."""
        x = ops.stop_gradient(x)
        new_low, new_high = ops.minimum(ops.min(x), 0.0), ops.maximum(ops.max(x), 0.0)
        keep = ops.where(ops.equal(self.low, self.high), 0.0, momentum)  # nothing seen yet
        self.low.assign(self.low * keep + new_low * (1 - keep))
        self.high.assign(self.high * keep + new_high * (1 - keep))

    def limits(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return float(self.low.numpy()), max(float(self.high.numpy()), float(self.low.numpy()) + _LEAST)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


class Fixed(_SameShape):
    """Rounds a tensor to 256 values of a range that does not change.

    Args:
        low: the least, 0 or below.
        high: the greatest.
    """

    def __init__(self, low: float, high: float, **more: Any) -> None:
        super().__init__(**more)
        self._limits = (low, high)

    def call(self, x: Any) -> Any:
        return fake_quant(x, *self._limits, num_bits=8)

    def limits(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self._limits

    def get_config(self) -> dict[str, Any]:
        low, high = self._limits
        return {**super().get_config(), "low": low, "high": high}
