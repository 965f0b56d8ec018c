"""Batch normalisation in one operation, for training. Needs TensorFlow.

Keras 3 builds it from a dozen elementwise operations in float32. On a processor each is a pass through
memory, together most of the time that a network of small convolutions takes.
"""

from __future__ import annotations

from typing import Any

import keras

NAME = "FusedBatchNormalization"
_PICTURES = 4  # dimensions of (N, H, W, C)
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


def config(value: Any) -> Any:
    """A model's configuration with this layer in place of Keras's."""
    if isinstance(value, list | tuple):
        return [config(item) for item in value]
    if not isinstance(value, dict):
        return value
    if (value.get("module"), value.get("class_name")) == ("keras.layers", "BatchNormalization"):
        value = {**value, "module": None, "class_name": NAME, "registered_name": NAME}
    return {key: config(item) for key, item in value.items()}
