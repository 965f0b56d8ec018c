"""Pictures changed at random, as Keras layers in the training's own graph. Needs TensorFlow.

The layers' random generators are variables: they are saved with the training and go on where they were.
"""

from __future__ import annotations

from typing import Any

import keras

from converters.training.plan import Plan

layers, ops = keras.layers, keras.ops
_RANGE = (0.0, 255.0)
_GREY = 127.5
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Cutout(keras.layers.Layer):  # type: ignore[misc]
    """Blanks a square (DeVries and Taylor, "Cutout", 2017); it may hang over the edge.

    ``keras.layers.RandomErasing`` takes ten times as long.

    Args:
        side: of the square, as a share of the picture's height.
        seed: of its place.
    """

    def __init__(self, side: float, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.side = side
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        count, (height, width) = ops.shape(x)[0], x.shape[1:3]
        places = keras.random.uniform((2, count), seed=self.generator)
        inside = []
        for place, length in zip((places[0], places[1]), (height, width), strict=True):
            centre = ops.floor(place * length)[:, None]
            away = ops.abs(ops.arange(length, dtype="float32")[None, :] - centre)
            inside.append(away < 0.5 * self.side * height)
        hole = ops.logical_and(inside[0][:, :, None, None], inside[1][:, None, :, None])
        return ops.where(hole, ops.cast(_GREY, x.dtype), x)


class Saturation(keras.layers.Layer):  # type: ignore[misc]
    """Moves colours away from or towards their own grey.

    ``keras.layers.RandomSaturation`` (3.15) gives values far outside of 0 to 255 for strong colours.

    Args:
        most: largest change, as a share.
        seed: of the changes.
    """

    def __init__(self, most: float, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.most = most
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        shape = (ops.shape(x)[0], 1, 1, 1)
        factor = keras.random.uniform(shape, 1 - self.most, 1 + self.most, seed=self.generator)
        grey = ops.sum(x * ops.convert_to_tensor(_LUMA, x.dtype), -1, keepdims=True)
        return ops.clip(grey + factor * (x - grey), *_RANGE)


class Augment(keras.layers.Layer):  # type: ignore[misc]
    """What a plan says, but for mirroring, which the feed does: place, colour, cutout.

    Float32 (N, H, W, C) of 0 to 255 in and out.
    """

    def __init__(self, plan: Plan, channels: int = 3, **more: Any) -> None:
        super().__init__(**more)
        self.steps = _steps(plan, channels)

    def call(self, x: Any, training: bool = False) -> Any:
        for step in self.steps:
            x = step(x, training=training)
        return x


def _steps(plan: Plan, channels: int) -> list[Any]:
    seed = plan.seed * 1000 + 17
    colour = {"value_range": _RANGE}
    made: list[Any] = []
    if plan.shift:
        shift = (plan.shift, plan.shift)
        # Whole pixels: half of one would blur the picture.
        made.append(
            layers.RandomTranslation(*shift, fill_mode="reflect", interpolation="nearest", seed=seed + 1)
        )
    if plan.rotate:
        made.append(layers.RandomRotation(plan.rotate / 360, fill_mode="reflect", seed=seed + 2))
    if plan.zoom:
        made.append(layers.RandomZoom(plan.zoom, fill_mode="reflect", seed=seed + 3))
    if plan.brightness:
        made.append(layers.RandomBrightness(plan.brightness, seed=seed + 4, **colour))
    if plan.contrast:
        made.append(layers.RandomContrast(plan.contrast, seed=seed + 5, **colour))
    if plan.saturation and channels == 3:
        made.append(Saturation(plan.saturation, seed + 6))
    if plan.cutout:
        made.append(Cutout(plan.cutout, seed + 7))
    return made


class Mixup(keras.layers.Layer):  # type: ignore[misc]
    """Blends each picture and its label with another of the batch (Zhang et al., "mixup", 2018).

    Args:
        alpha: shares are drawn from Beta(alpha, alpha).
        seed: of the shares.
    """

    def __init__(self, alpha: float, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.alpha = alpha
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, y: Any) -> tuple[Any, Any]:
        share = keras.random.beta((ops.shape(x)[0],), self.alpha, self.alpha, seed=self.generator)
        wide = share[:, None, None, None]
        # Batches are shuffled already: the picture at the other end is any other.
        return wide * x + (1 - wide) * ops.flip(x, 0), share[:, None] * y + (1 - share[:, None]) * ops.flip(
            y, 0
        )
