"""Layers that learn faster on a processor than Keras's, with the same weights. Needs TensorFlow.

Keras 3 builds batch normalisation from a dozen elementwise operations in float32. On a processor each is a
pass through memory, together most of the time that a network of small convolutions takes: here it is one.

The gradient of a convolution's kernel is slow in oneDNN (3.7) in bfloat16 where maps are small and channels
are many: here it is a matrix product for each place of the kernel.
"""

from __future__ import annotations

from typing import Any

import keras

NAME = "FusedBatchNormalization"
CONVOLUTION = "QuickConv2D"
_PICTURES = 4  # dimensions of (N, H, W, C)
_MAP = 64  # places; larger maps are quicker as they are
_CHANNELS = 128
_VECTOR = 16  # channels: for others oneDNN (3.7) has only its reference, slower than Keras's dozen


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """The layer of Keras, with the same weights and, but for rounding, the same answers."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None or not self._plain(inputs):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        learns = bool(training and self.trainable)
        out = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self._vector(self.gamma, 1.0),
            offset=self._vector(self.beta, 0.0),
            mean=[] if learns else self.moving_mean,
            variance=[] if learns else self.moving_variance,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if learns:
            self._note(out.batch_mean, out.batch_variance, inputs)
        return out.y

    def _plain(self, inputs: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == _PICTURES
            and self.axis in (-1, _PICTURES - 1)
            and inputs.shape[-1] % _VECTOR == 0
            and not (self.renorm or self.synchronized)
        )

    def _vector(self, weight: Any, otherwise: float) -> Any:
        if weight is not None:
            return weight
        return keras.ops.full(self.moving_mean.shape, otherwise, "float32")

    def _note(self, mean: Any, variance: Any, inputs: Any) -> None:
        """Move the averages. The operation's variance is that of a sample, Keras's that of the batch."""
        ops = keras.ops
        count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), "float32")
        variance = variance * ((count - 1) / count)
        kept = self.momentum
        self.moving_mean.assign(self.moving_mean * kept + mean * (1 - kept))
        self.moving_variance.assign(self.moving_variance * kept + variance * (1 - kept))


class QuickConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """The layer of Keras; small maps of many channels find the kernel's gradient by matrix products."""

    def call(self, inputs: Any) -> Any:
        if not self._small(inputs):
            return super().call(inputs)
        out = _convolution(inputs, keras.ops.cast(self.kernel, inputs.dtype))
        if self.use_bias:
            out = out + keras.ops.cast(self.bias, out.dtype)
        return out if self.activation is None else self.activation(out)

    def _small(self, inputs: Any) -> bool:
        height, width, channels = inputs.shape[1:]
        return (
            keras.backend.backend() == "tensorflow"
            and self.compute_dtype == "bfloat16"
            and self.padding == "same"
            and set(self.strides) == set(self.dilation_rate) == {self.groups} == {1}
            and self.kernel_size == (3, 3)
            and self.data_format == "channels_last"
            and None not in (height, width)
            and height * width <= _MAP
            and min(channels, self.filters) >= _CHANNELS
        )


def _convolution(x: Any, kernel: Any) -> Any:
    """A convolution of stride 1 that keeps the size, (N, H, W, C) by (3, 3, C, F)."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(x: Any, kernel: Any) -> tuple[Any, Any]:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            before = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=[1] * 4, padding="SAME"
            )
            return before, _kernel_gradient(x, upstream, kernel.shape)

        return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient

    return convolve(x, kernel)


def _kernel_gradient(x: Any, upstream: Any, shape: Any) -> Any:
    """For each place of the kernel the product of what it saw and of what that led to."""
    import tensorflow as tf

    rows, columns, channels, filters = shape
    height, width = upstream.shape[1:3]
    edges = [[0, 0], [rows // 2, (rows - 1) // 2], [columns // 2, (columns - 1) // 2], [0, 0]]
    padded = tf.pad(x, edges)
    led_to = tf.reshape(upstream, [-1, filters])
    found = [
        tf.matmul(
            tf.reshape(padded[:, row : row + height, column : column + width], [-1, channels]),
            led_to,
            transpose_a=True,
        )
        for row in range(rows)
        for column in range(columns)
    ]
    return tf.reshape(tf.stack(found), shape)


LAYERS = {NAME: FusedBatchNormalization, CONVOLUTION: QuickConv2D}
_NAMES = {"BatchNormalization": NAME, "Conv2D": CONVOLUTION}


def config(value: Any) -> Any:
    """A model's configuration with these layers in place of Keras's."""
    if isinstance(value, list | tuple):
        return [config(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = _NAMES.get(value.get("class_name", "")) if value.get("module") == "keras.layers" else None
    if name:
        value = {**value, "module": None, "class_name": name, "registered_name": name}
    return {key: config(item) for key, item in value.items()}
