"""What is compiled around a network: it changes pictures at random and learns from them. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from converters.training import heads
from converters.training.augment import Augment, Mixup
from converters.training.plan import Plan


class Changing:
    """Mixed into a ``keras.Model``: its pictures are augmented within the step."""

    def prepare(self, plan: Plan, channels: int) -> None:
        """Make the layers that change pictures."""
        self.augment = Augment(plan, channels, name="augment")
        self.mixup = Mixup(plan.mixup, plan.seed * 1000 + 29, name="mixup") if plan.mixup else None

    def train_step(self, data: Any) -> Any:
        """One step on (x, y) or (x, y, weight); see ``keras.Model.train_step``."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self.augment(keras.ops.cast(x, "float32"), training=True)
        if self.mixup is not None:
            x, y = self.mixup(x, y)
        return super().train_step((x, y, weight))  # type: ignore[misc]


class Trainer(Changing, keras.Model):  # type: ignore[misc]
    """Learns classes from pictures, on the network's logits."""

    def __init__(self, net: Any, plan: Plan) -> None:
        super().__init__(name="trainer")
        self.net = heads.logits(net)
        self.prepare(plan, net.inputs[0].shape[-1])

    def call(self, x: Any, training: bool | None = None) -> Any:
        return keras.ops.cast(self.net(x, training=training), "float32")


def loss(plan: Plan) -> Any:
    """Cross entropy of logits with smoothed labels."""
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=plan.smoothing)
