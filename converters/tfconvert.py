"""TensorFlow's converter, by a quantisation recipe. Runs in the child process (:mod:`converters.child`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from converters import compact, flatmodel, floatops, selective, ssd
from converters.recipes import Quantization
from converters.source import Source
from edgecam.errors import ModelError
from edgecam.types import Floats

Progress = Callable[[int, int | None], None]


def head(source: Source, task: str) -> str:
    """What to put behind a classifier so that its output is one probability a class.

    Returns:
        ``softmax`` behind logits, ``pair`` behind a single probability (of the second of two classes),
        "" for nothing.
    """
    if task != "classify" or len(source.outputs) != 1:
        return ""
    classes = source.outputs[0][-1]
    if source.activation == "linear":
        return "softmax" if classes > 1 else "sigmoid-pair"
    return "pair" if classes == 1 else ""


def classes(source: Source, task: str) -> int:
    """Number of a classifier's outputs after :func:`head`; 0 for other tasks."""
    if task != "classify" or not source.outputs[0]:
        return 0
    count = source.outputs[0][-1]
    return 2 if count == 1 else count


def _with_head(outputs: Any, kind: str) -> Any:
    import tensorflow as tf

    if not kind:
        return outputs
    (values,) = tf.nest.flatten(outputs)
    values = tf.reshape(values, [1, -1])
    if kind == "softmax":
        return tf.nn.softmax(values)
    if kind == "sigmoid-pair":
        values = tf.sigmoid(values)
    return tf.concat([1 - values, values], 1)


def convert(
    source: Source,
    recipe: Quantization,
    task: str,
    calibration: Floats | None = None,
    progress: Progress | None = None,
) -> bytes:
    """A ``.tflite`` without contract.

    Args:
        source: the loaded model.
        recipe: how.
        task: ``classify`` adds what :func:`head` says.
        calibration: normalised pictures, float32 (N, H, W, C); needed where the recipe is calibrated.
        progress: called with (calibrated, pictures in all).

    Raises:
        ModelError: operators that TFLite has not, or that cannot be int8; they are named.
    """
    import tensorflow as tf

    source = _fitting(source, recipe)
    kind = head(source, task)
    ended = source.roles == ssd.OUTPUTS
    holder = tf.Module()  # the converter finds variables only where they hang on an object of its own kind
    holder.kept = [source.keep, _variables(source)]
    spec = tf.TensorSpec([1, *source.shape], tf.float32, name="image")
    function = tf.function(lambda image: _with_head(source.call(image), kind)).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    _set(converter, recipe, ended)
    if recipe.calibrated:
        assert calibration is not None
        converter.representative_dataset = lambda: _feed(calibration, progress)
    try:
        if recipe.keep:
            outputs = "float32" if ended else recipe.image
            model = selective.convert(converter, recipe.keep, recipe.image, outputs)
        else:
            model = converter.convert()
    except ModelError:
        raise
    except Exception as error:
        raise _refused(str(error), recipe) from error
    # The converter keeps what it cannot quantise in float without a word, also where only int8 is allowed.
    whole = recipe.calibrated and not recipe.float_fallback and not recipe.keep
    left = floatops.float_operators(model) if whole else {}
    if left:
        raise _not_integer(list(left), recipe)
    model = compact.compact(model)
    return flatmodel.order_outputs(model, source.roles) if source.roles else model


def _fitting(source: Source, recipe: Quantization) -> Source:
    """After quantisation-aware training: the marked network for int8, that of before for the float twin."""
    if recipe.activations == "int8":
        return source.learnt or source
    return (source.before or source) if recipe.weights == "float32" else source


def _variables(source: Source) -> list[Any]:
    """TensorFlow's variables; those of Keras 3 are wrapped once more."""
    weights = getattr(source.keep, "weights", None)
    return [getattr(weight, "value", weight) for weight in weights] if weights else []


def _set(converter: Any, recipe: Quantization, ended: bool) -> None:
    """The recipe's settings; ``ended`` by the op that decodes boxes, whose outputs are float."""
    import tensorflow as tf

    converter.allow_custom_ops = ended
    sets = tf.lite.OpsSet
    if recipe.weights == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if recipe.activations == "int16":
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [
            wide,
            *([sets.TFLITE_BUILTINS] if recipe.float_fallback else []),
        ]
    if recipe.activations == "int8" and not recipe.float_fallback:
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8]
    if recipe.image != "float32":
        converter.inference_input_type = tf.as_dtype(recipe.image)
        converter.inference_output_type = tf.float32 if ended else tf.as_dtype(recipe.image)


def _feed(pictures: Floats, progress: Progress | None) -> Iterator[list[Floats]]:
    for number, picture in enumerate(pictures):
        yield [np.asarray(picture[None], np.float32)]
        if progress is not None:
            progress(number + 1, len(pictures))


_UNKNOWN = re.compile(r"(?:Flex|Custom) ops: ([^\n]+)")
_NO_OPERATOR = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_NOT_INT8 = re.compile(r"Quantization (?:not yet supported|to \S+ not supported) for op:? '?([^'\n]+)'?")


def _refused(text: str, recipe: Quantization) -> ModelError:
    listed = _UNKNOWN.search(text)
    unknown = listed[1].strip().rstrip(".") if listed else ", ".join(sorted({*_NO_OPERATOR.findall(text)}))
    if unknown:
        return ModelError(
            f"TFLite has no operators for {unknown}",
            "replace them in the model by layers that TFLite knows; no recipe can convert them",
        )
    not_int8 = sorted({name.strip() for name in _NOT_INT8.findall(text)})
    if not_int8:
        return _not_integer(not_int8, recipe)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ModelError(
        f"the converter fails: {lines[0][:300] if lines else 'no reason given'}", _last_resort(recipe)
    )


def _not_integer(operators: Sequence[str], recipe: Quantization) -> ModelError:
    what = f"{', '.join(operators)} cannot be {recipe.activations}"
    return ModelError(what, "use the recipe int8-float-fallback, which keeps them in float")


def _last_resort(recipe: Quantization) -> str:
    if recipe.weights == "float32":
        return "export the model as a SavedModel and try that"
    return "try the recipe int8-float-fallback, or dynamic"
