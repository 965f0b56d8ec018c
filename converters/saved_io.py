"""SavedModels and tfjs graph models. Needs TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from converters import ssd, tfjs
from converters.detector import SsdGraph
from converters.source import Source, fixed, output_shapes
from edgecam.errors import ModelError


def load_saved(path: Path, size: tuple[int, ...]) -> Source:
    """A SavedModel's folder; arguments and errors as :func:`converters.keras_io.load`."""
    import tensorflow as tf

    if not (path / "saved_model.pb").exists():
        raise ModelError(f"{path} is no SavedModel (no saved_model.pb)", "name a .keras file or a SavedModel")
    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read ({str(error).splitlines()[0][:200]})", "export it again"
        ) from error
    signature = model.signatures.get("serving_default") or next(iter(model.signatures.values()), None)
    if signature is None:
        raise ModelError(f"{path} has no signature", "export it with model.export(FOLDER)")
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs ({', '.join(inputs)})", "export it with one image")
    ((name, spec),) = inputs.items()
    names = tuple(sorted(signature.structured_outputs))

    def call(image: Any) -> Any:
        found = signature(**{name: tf.cast(image, spec.dtype)})
        return [found[key] for key in names]

    shape = fixed(path, tuple(spec.shape)[1:], size)
    variables = getattr(model, "variables", ())
    return replace(_plain(path, call, shape, "saved-model", variables, model), output_names=names)


def load_tfjs(path: Path, size: tuple[int, ...]) -> Source:
    """A tfjs ``model.json``; arguments and errors as :func:`converters.keras_io.load`."""
    import tensorflow as tf

    graph = tfjs.graph_def(path)
    ssd.restore_residuals(graph, strict=False)
    inputs = [node for node in graph.node if node.op == "Placeholder"]
    if len(inputs) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs", "convert a model with one image input")
    used = {name.split(":")[0].lstrip("^") for node in graph.node for name in node.input}
    ends = [node.name for node in graph.node if node.name not in used and node.op not in ("NoOp", "Const")]
    sides = [dimension.size for dimension in inputs[0].attr["shape"].shape.dim]
    shape = fixed(path, tuple(None if side < 1 else side for side in sides[1:]), size)
    wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph, name=""), [])
    call = wrapped.prune(f"{inputs[0].name}:0", [f"{name}:0" for name in ends])
    return replace(_plain(path, call, shape, "tfjs", (), wrapped), output_names=tuple(ends))


def load_ssd(path: Path, names: SsdGraph) -> Source:
    """The network of a detector in a tfjs graph of TensorFlow's Object Detection API.

    Raises:
        ModelError: as :func:`load_tfjs`, or a part is not where ``names`` says.
    """
    import tensorflow as tf

    if not path.name.endswith(".json"):
        raise ModelError(f"{path} is no tfjs graph, and only such graphs are cut", 'leave "graph" out')
    graph = tfjs.graph_def(path)
    ssd.restore_residuals(graph)
    body = ssd.cut(graph, names.image, names.size, [names.boxes, names.scores])
    wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(body, name=""), [])
    call = wrapped.prune(f"{names.image}:0", [f"{names.boxes}:0", f"{names.scores}:0"])
    found = _plain(path, call, (names.size, names.size, 3), "tfjs", (), wrapped)
    weights = sum(_numbers(node) for node in body.node if node.op == "Const")
    return replace(found, output_names=("boxes", "scores"), says=ssd.says(graph, names), parameters=weights)


def _numbers(constant: Any) -> int:
    """How many floats a constant of a graph holds."""
    import tensorflow as tf

    tensor = constant.attr["value"].tensor
    return math.prod(side.size for side in tensor.tensor_shape.dim) if tensor.dtype == tf.float32 else 0


def _plain(
    path: Path, call: Callable[[Any], Any], shape: tuple[int, int, int], kind: str, variables: Any, keep: Any
) -> Source:
    outputs = output_shapes(path, call, shape)
    activation = _seen_activation(call, shape) if len(outputs) == 1 else ""
    count = sum(int(np.prod(variable.shape)) for variable in variables)
    return Source(call, shape, outputs, activation, "", (path.stem,), count, kind, (keep, variables))


def _seen_activation(call: Callable[[Any], Any], shape: tuple[int, int, int]) -> str:
    """What the output looks like on noise; a graph does not say it."""
    import tensorflow as tf

    noise = np.random.default_rng(0).uniform(-1, 1, (4, 1, *shape)).astype(np.float32)
    values = np.array([np.ravel(tf.nest.flatten(call(tf.constant(picture)))[0]) for picture in noise])
    if values.min() < 0 or values.max() > 1:
        return "linear"
    return "softmax" if values.shape[1] > 1 and np.allclose(values.sum(1), 1, atol=1e-3) else "sigmoid"
