"""The learning rate over a training. Needs TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import keras

from converters.training.plan import Plan

ops = keras.ops


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Up linearly from next to nothing, then down as ``kind`` says.

    After L. Smith, "Super-Convergence", 2018 (``triangular``), and Loshchilov and Hutter, "SGDR", 2017
    (``cosine``, once).

    Args:
        peak: highest rate.
        start: rate at the start.
        steps: in all.
        warmup: steps until the peak.
        end: rate at the end.
        kind: ``triangular``, ``cosine`` or ``constant``.
    """

    def __init__(
        self, peak: float, steps: int, warmup: int, *, start: float = 0.0, end: float = 0.0, kind: str
    ) -> None:
        self.peak, self.steps, self.warmup, self.kind = peak, steps, warmup, kind
        self.start, self.end = start, end

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rising = self.start + (self.peak - self.start) * (step + 1) / max(self.warmup, 1)
        done = ops.clip((step - self.warmup + 1) / max(self.steps - self.warmup, 1), 0.0, 1.0)
        left = 0.5 * (1 + ops.cos(done * math.pi)) if self.kind == "cosine" else 1 - done
        falling = self.end + (self.peak - self.end) * left if self.kind != "constant" else self.peak
        return ops.where(step < self.warmup, ops.minimum(rising, self.peak), falling)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "start": self.start,
            "end": self.end,
            "kind": self.kind,
        }


def optimizer(plan: Plan, steps: int, rate: float) -> Any:
    """A new optimizer for a phase.

    Args:
        plan: how to train.
        steps: in the phase.
        rate: its highest learning rate.
    """
    schedule = OneCycle(
        rate,
        steps,
        round(plan.warmup * steps),
        start=plan.rate_start * rate,
        end=plan.rate_end * rate,
        kind=plan.schedule,
    )
    shared: dict[str, Any] = {
        "learning_rate": schedule,
        "weight_decay": plan.weight_decay or None,
        "global_clipnorm": plan.clip or None,
    }
    if plan.ema:
        shared |= {"use_ema": True, "ema_momentum": plan.ema}
    if plan.optimizer == "sgd":
        made = keras.optimizers.SGD(momentum=plan.momentum, nesterov=plan.momentum > 0, **shared)
    else:
        made = keras.optimizers.AdamW(**{**shared, "weight_decay": plan.weight_decay})
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made
