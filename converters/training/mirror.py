"""A network that looks twice: at a picture and at its mirror image. Needs TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from converters.steps.base import Report
from converters.training import files, heads
from converters.training.judging import Judge

LOOKS = 2
KEY = "looks"  # in a file's note: how often at a picture
layers, ops = keras.layers, keras.ops


def mirrored(model: Any) -> Any:
    """A classifier that answers by the mean of its logits for a picture and for the picture mirrored left to
    right (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, 4.1).

    Both go through the network as one batch, so that a converted file has its layers once.

    Args:
        model: with one picture as input and one output for each class.

    Returns:
        A functional ``keras.Model`` around it, with the same weights: twice the multiply-accumulates.

    Raises:
        ModelError: no classifier; see :func:`converters.training.heads.logits`.
    """
    looks = heads.logits(model)
    image = keras.Input(model.inputs[0].shape[1:], name="image")
    both = looks(ops.concatenate([image, ops.flip(image, axis=2)], axis=0))
    mean = ops.mean(ops.reshape(both, (LOOKS, -1, both.shape[-1])), axis=0)
    logits = layers.Activation("linear", name="logits")(mean)
    return keras.Model(image, layers.Softmax(name="scores")(logits), name=f"{model.name}_mirrored")


def kept(model: Any, judge: Judge | None, report: Report) -> tuple[Any, dict[str, Any]]:
    """:func:`mirrored`, and what it is worth on validation pictures.

    Args:
        model: a classifier.
        judge: gives ``accuracy`` of a model, or nothing without pictures.
        report: hears of it.

    Returns:
        The network, and its judge's figures under ``mirrored``; {} where there are none.
    """
    twice = mirrored(model)
    once, found = (dict(judge(one)) if judge else {} for one in (model, twice))
    if not found:
        return twice, {}
    report.line(f"with mirror images: right {found['accuracy']:.1%}, without {once['accuracy']:.1%}")
    return twice, {"mirrored": found}


def to_change(path: Path, report: Report) -> Any:
    """The network of a file that is trained on or pruned: it looks once.

    Args:
        path: ``.keras``; out of :func:`mirrored` comes the network within.
        report: hears of that.

    Raises:
        ModelError: no such file, or no Keras model.
    """
    model = files.load_model(path)
    if files.note(path).get(KEY, 1) == 1:
        return model
    report.line(f"{path} looks at mirror images too; what looks once goes on, until mirror = true")
    look = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    scores = layers.Softmax(name="scores")(look.outputs[0])
    return keras.Model(look.inputs, scores, name=look.name)
