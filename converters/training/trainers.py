"""What is compiled around a network: it changes pictures at random and learns from them. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from converters.training import heads, spread
from converters.training.augment import Augment, Mixup
from converters.training.plan import Plan


class Changing:
    """Mixed into a ``keras.Model``: its pictures are augmented within the step."""

    def prepare(self, plan: Plan, channels: int) -> None:
        """Make the layers that change pictures."""
        self.augment = Augment(plan, channels, name="augment")
        if compiles():
            # Only TensorFlow's own way to transform pictures cannot be compiled by XLA.
            for layer in self.augment.steps:
                layer.supports_jit = True
        self.mixup = Mixup(plan.mixup, plan.seed * 1000 + 29, name="mixup") if plan.mixup else None

    def train_step(self, *given: Any) -> Any:
        """One step on (x, y) or (x, y, weight); see ``keras.Model.train_step``. JAX gives the state of all
        variables first and wants the new one back."""
        *state, data = given
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not state:
            return super().train_step((*self._changed(x, y), weight))  # type: ignore[misc]
        trainable, others, *rest = state[0]
        mine = self.non_trainable_variables  # type: ignore[attr-defined]
        with keras.StatelessScope(state_mapping=list(zip(mine, others, strict=True))) as scope:
            x, y = self._changed(x, y)
        moved = [scope.get_current_value(variable) for variable in mine]
        others = [old if new is None else new for old, new in zip(others, moved, strict=True)]
        return super().train_step((trainable, others, *rest), (x, y, weight))  # type: ignore[misc]

    def _changed(self, x: Any, y: Any) -> tuple[Any, Any]:
        x = self.augment(keras.ops.cast(x, "float32"), training=True)
        return (x, y) if self.mixup is None else self.mixup(x, y)


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


def compiles() -> bool:
    """Whether XLA compiles a step: it is what JAX lives by; TensorFlow on a processor is faster without."""
    return spread.jax_module() is not None


class Mean:
    """Losses and metrics of an epoch: Keras (3.15) begins anew with each batch, and all are of equal size."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def of(self, logs: dict[str, float]) -> dict[str, float]:
        """The mean so far, with the logs of another batch."""
        self._count += 1
        self._sums = {key: self._sums.get(key, 0.0) + value for key, value in logs.items()}
        return {key: value / self._count for key, value in self._sums.items()}
