"""The loss of a detector, and what is compiled around it. Needs TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from converters.training.plan import Plan
from converters.training.trainers import Changing

ops = keras.ops
ALPHA, GAMMA = 0.5, 2.0


class BoxTrainer(Changing, keras.Model):  # type: ignore[misc]
    """Learns boxes; its output is codes and logits side by side, (N, anchors, 4 + classes).

    Colours are changed here, within the step; what moves boxes is done by the feed.
    """

    def __init__(self, net: Any, plan: Plan) -> None:
        super().__init__(name="trainer")
        self.net = net
        self.prepare(replace(plan, shift=0.0, zoom=0.0, rotate=0.0, mixup=0.0), net.inputs[0].shape[-1])

    def call(self, x: Any, training: bool | None = None) -> Any:
        boxes, scores = self.net(x, training=training)
        return ops.cast(ops.concatenate([boxes, scores], -1), "float32")


def loss(truth: Any, said: Any) -> Any:
    """Smooth L1 of the codes of matched anchors and focal loss of all scores (Lin et al., "Focal Loss for
    Dense Object Detection", 2017), both divided by the number of matched anchors.

    With alpha 0.5 instead of the paper's 0.25: small data has few objects, and scores shall pass a threshold
    of one half.

    Args:
        truth: of :func:`converters.detection.matching.targets`, (N, anchors, 5 + classes).
        said: of :class:`BoxTrainer`, (N, anchors, 4 + classes).

    Returns:
        (N,), whose mean is the loss of the batch.
    """
    state, wanted = truth[..., 4], truth[..., 5:]
    matched = ops.cast(state > 0, "float32")
    learnt = ops.cast(state >= 0, "float32")
    off = ops.abs(truth[..., :4] - said[..., :4])
    codes = ops.sum(ops.where(off < 1, 0.5 * off**2, off - 0.5), -1) * matched
    logits = said[..., 4:]
    entropy = ops.maximum(logits, 0) - logits * wanted + ops.log1p(ops.exp(-ops.abs(logits)))
    probability = ops.sigmoid(logits)
    missed = wanted * (1 - probability) + (1 - wanted) * probability
    weight = (wanted * ALPHA + (1 - wanted) * (1 - ALPHA)) * missed**GAMMA
    scores = ops.sum(weight * entropy, -1) * learnt
    number = ops.maximum(ops.mean(ops.sum(matched, -1)), 1.0)
    return (0.25 * ops.sum(codes, -1) + 3.0 * ops.sum(scores, -1)) / number
