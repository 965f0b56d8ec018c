"""Distillation: a student learns from labels and from what a teacher makes of the same pictures. Needs
TensorFlow.

It is ``keras.distillation``, on logits, with pictures changed at random before both see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from converters.training import heads, precision
from converters.training.plan import Plan
from converters.training.trainers import Changing
from edgecam.errors import UsageError

ops = keras.ops
_EPSILON = 1e-6


class AttentionLoss(keras.losses.Loss):  # type: ignore[misc]
    """Compares where two layers look, whatever their numbers of channels (Zagoruyko and Komodakis, "Paying
    More Attention to Attention", 2017).

    A map is the mean of the squares over the channels, at unit length; the loss is the squared distance of
    both. The larger map is averaged down to the smaller.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        height = min(y_true.shape[1], y_pred.shape[1])
        teacher, student = (_attention(ops.cast(x, "float32"), height) for x in (y_true, y_pred))
        return ops.sum(ops.square(teacher - student), -1)


def _attention(x: Any, height: int) -> Any:
    """Float32 (N, H, W, C) to (N, H * W) of unit length."""
    heat = ops.mean(ops.square(x), -1, keepdims=True)
    factor = x.shape[1] // height
    if factor > 1:
        heat = ops.average_pool(heat, factor, factor, padding="valid")
    flat = ops.reshape(heat, (-1, heat.shape[1] * heat.shape[2]))
    return flat / (ops.norm(flat, axis=-1, keepdims=True) + _EPSILON)


class Distilling(Changing, keras.distillation.Distiller):  # type: ignore[misc]
    """``keras.distillation.Distiller`` whose pictures are augmented within the step.

    Where layers within are compared, Keras runs the student twice, once for its answer and once for its
    features; here one run gives both.
    """

    _seen: Any = None

    def call(self, inputs: Any, training: bool | None = None, **more: Any) -> Any:
        extractor = self._student_feature_extractor
        if extractor is None:
            return ops.cast(self.student(inputs, training=training), "float32")
        found = extractor(inputs, training=training)
        self._seen = {key: ops.cast(value, "float32") for key, value in found.items()}
        return self._seen["final_output"]

    def _extract_all_student_features(self, x: Any, y_pred: Any) -> Any:
        if self._student_feature_extractor is None:
            return {"final_output": y_pred}
        return self._seen


def trainer(
    teacher: Any,
    *,
    temperature: float = 4.0,
    weight: float = 0.7,
    features: Sequence[str] = (),
    feature_weight: float = 1.0,
) -> Callable[[Any, Plan], Any]:
    """For :func:`converters.training.fit.fit`: makes what trains a student under a teacher.

    Args:
        teacher: a classifier with the student's input and classes; it learns nothing.
        temperature: by which logits are divided before they are compared (Hinton et al., 2015).
        weight: of the teacher, 0 to 1; the labels have the rest.
        features: pairs ``TEACHER_LAYER:STUDENT_LAYER`` whose attention is compared too; one name for both
            where they agree.
        feature_weight: of each pair, next to 1 for the logits.

    Raises:
        UsageError: (when made) a layer that one of them lacks, or that is no map.
    """
    pairs = [_pair(text) for text in features]
    weights = [1.0, *([feature_weight] * len(pairs))]

    def make(net: Any, plan: Plan) -> Any:
        source, student = heads.logits(_as_precise(teacher, plan)), heads.logits(net)
        # As "kl_divergence", the default, Keras 3.15 compares the bare logits: it looks for an instance.
        divergence = keras.losses.KLDivergence()
        losses: list[Any] = [keras.distillation.LogitsDistillation(temperature, divergence)]
        for theirs, ours in pairs:
            _check_layers(teacher, theirs, net, ours)
            losses.append(keras.distillation.FeatureDistillation(AttentionLoss(), theirs, ours))
        made = Distilling(source, student, losses, weights, student_loss_weight=1.0 - weight)
        made.prepare(plan, net.inputs[0].shape[-1])
        return made

    return make


def _as_precise(teacher: Any, plan: Plan) -> Any:
    """The teacher in the plan's precision, where it is a network of ours; Keras wants logits of one type."""
    ours = any(layer.name == "logits" for layer in teacher.layers)
    return precision.working(teacher, plan.precision) if ours else teacher


def _pair(text: str) -> tuple[str, str]:
    theirs, _, ours = text.partition(":")
    return theirs, ours or theirs


def _check_layers(teacher: Any, theirs: str, student: Any, ours: str) -> None:
    heights = []
    for what, model, name in (("teacher", teacher, theirs), ("student", student, ours)):
        layer = next((layer for layer in model.layers if layer.name == name), None)
        if layer is None:
            maps = [layer.name for layer in model.layers if len(layer.output.shape) == 4][1:]
            raise UsageError(f"the {what} has no layer {name!r}", f"it has {', '.join(maps)}")
        shape = layer.output.shape
        if len(shape) != 4:
            raise UsageError(
                f"layer {name!r} of the {what} gives no map", "name a convolution or what follows"
            )
        heights.append(tuple(shape[1:3]))
    (a, b), (c, d) = heights
    if max(a, c) // min(a, c) * min(a, c) != max(a, c) or a * d != b * c:
        raise UsageError(
            f"maps of {b}x{a} (teacher, {theirs}) and {d}x{c} (student, {ours}) cannot be compared",
            "name layers whose maps are equal or whole multiples",
        )


def laid_out(teacher: Any, shape: tuple[int, int, int], scale: Any = None) -> Any:
    """A teacher behind the student's input: resized and normalised where it must be.

    Args:
        teacher: any classifier with one picture as input.
        shape: (height, width, channels) of the student's input, pixels from 0 to 255.
        scale: its :class:`converters.conventions.Convention`, None where it takes pixels.
    """
    own = tuple(teacher.inputs[0].shape[1:])
    if own == tuple(shape) and scale is None:
        return teacher
    if own[2] != shape[2]:
        raise UsageError(f"the teacher takes {own[2]} channels, the student {shape[2]}", "take equal ones")
    image = x = keras.Input(shape, name="image")
    if own[:2] != tuple(shape[:2]) and all(own[:2]):
        x = keras.layers.Resizing(*own[:2], name="teacher_size")(x)
    if scale is not None:
        if scale.color == "bgr":
            x = ops.flip(x, -1)
        x = (x - ops.convert_to_tensor(scale.mean)) / ops.convert_to_tensor(scale.std)
    return keras.Model(image, teacher(x), name=f"{teacher.name}_teacher")
