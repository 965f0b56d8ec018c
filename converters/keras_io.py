"""Models as they come from training: ``.keras``, ``.h5``, SavedModel, tfjs. Needs TensorFlow.

Whatever it was, it becomes one function from a normalised picture, float32 (1, H, W, C), to its outputs.
"""

from __future__ import annotations

import json
import runpy
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from converters import tfjs
from edgecam.errors import EdgecamError, ModelError, UsageError

HDF5 = (".h5", ".hdf5")
SUFFIXES = (".keras", *HDF5)
_SCALING = ("Rescaling", "Normalization")


@dataclass(frozen=True)
class Source:
    """A loaded model.

    Attributes:
        call: TensorFlow function of one float32 tensor; gives a tensor or a list of tensors.
        shape: (height, width, channels) of the input, 0 for a free side.
        outputs: shapes of the outputs for one picture.
        activation: what the only output ends in: ``softmax``, ``sigmoid``, ``linear``; "" if not known.
        scaling: the model's own layer that normalises pixels, or "".
        names: of the model and of the models in it.
        parameters: number of weights.
        kind: the format.
        keep: what must live as long as ``call``.
    """

    call: Callable[[Any], Any]
    shape: tuple[int, int, int]
    outputs: tuple[tuple[int, ...], ...]
    activation: str
    scaling: str
    names: tuple[str, ...]
    parameters: int
    kind: str
    keep: Any = field(repr=False, default=None)


def load(
    path: Path, *, size: tuple[int, ...] = (), custom: Path | None = None, allow_lambda: bool = False
) -> Source:
    """Read a model.

    Args:
        path: a file, the folder of a SavedModel, or a tfjs ``model.json``.
        size: (height, width) for a model whose size is free.
        custom: a Python file to run first; it registers the model's own layers.
        allow_lambda: run Python code that the file holds.

    Raises:
        ModelError: not such a model; custom layers (named); a free size; several inputs; weights that are
            not numbers.
        UsageError: ``size`` contradicts the model.
    """
    if custom is not None:
        _run_custom(custom)
    if path.is_dir():
        source = _load_saved(path, size)
    elif path.name.endswith(".json"):
        source = _load_tfjs(path, size)
    elif path.suffix.lower() in SUFFIXES:
        source = _load_keras(path, size, allow_lambda)
    elif not path.exists():
        raise ModelError(f"{path} does not exist", "name a Keras model")
    else:
        raise ModelError(f"{path} is of no known kind", "give .keras, .h5, a SavedModel or a tfjs model.json")
    _refuse_nan(path, source)
    return source


def _run_custom(path: Path) -> None:
    try:
        runpy.run_path(str(path))
    except Exception as error:
        raise UsageError(
            f"{path} fails ({type(error).__name__}: {error})", "correct the file of --custom"
        ) from error


# Keras


def _load_keras(path: Path, size: tuple[int, ...], allow_lambda: bool) -> Source:
    model = _read_keras(path, allow_lambda)
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ModelError(f"{path} has never been built: its input is unknown", "call it once before saving")
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise ModelError(f"{path} has {len(inputs)} inputs ({names})", "convert a model with one image input")
    shape = fixed(path, tuple(inputs[0].shape)[1:], size)
    layers = list(_flat(model))
    return Source(
        call=lambda image: model(image, training=False),
        shape=shape,
        outputs=_output_shapes(path, lambda image: model(image, training=False), shape),
        activation=_last_activation(model),
        scaling=next((kind for layer in layers if (kind := type(layer).__name__) in _SCALING), ""),
        names=tuple(layer.name for layer in [model, *layers] if hasattr(layer, "layers")),
        parameters=int(model.count_params()),
        kind=path.suffix.lower()[1:],
        keep=model,
    )


def _read_keras(path: Path, allow_lambda: bool) -> Any:
    import keras

    if not path.exists():
        raise ModelError(f"{path} does not exist", "name a Keras model")
    own = [
        layer for layer in custom_layers(config(path)) if keras.saving.get_registered_object(layer) is None
    ]
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not allow_lambda)
    except Exception as error:
        if own:
            raise ModelError(
                f"{path} holds layers of its own: {', '.join(own)}",
                "--custom FILE.py that defines them with @keras.saving.register_keras_serializable()",
            ) from error
        if "Lambda" in str(error) or "safe_mode" in str(error):
            raise ModelError(
                f"{path} holds Python code in a Lambda layer", "--allow-lambda if you trust the file"
            ) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[0][:200] if lines else type(error).__name__
        raise ModelError(
            f"{path} cannot be read by Keras {keras.__version__} ({why})",
            "save it again as .keras, or export a SavedModel with the Keras it was made with",
        ) from error


def config(path: Path) -> Mapping[str, Any]:
    """The architecture of a ``.keras`` or HDF5 file as it is stored; {} if the file holds none.

    Raises:
        ModelError: not such a file.
    """
    try:
        if path.suffix.lower() in HDF5:
            import h5py

            with h5py.File(path) as file:
                text = file.attrs.get("model_config")
                if text is None:
                    raise ModelError(f"{path} holds weights only", "save the whole model: model.save(...)")
        else:
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
        found: Mapping[str, Any] = json.loads(text)
        return found
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is no Keras model, or damaged", "save it again") from error


def custom_layers(value: Any) -> list[str]:
    """Registered names of the layers in a Keras 3 architecture that are not Keras's own, in order."""
    return list(dict.fromkeys(_custom(value)))


def _custom(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        module, name = str(value.get("module", "keras") or ""), value.get("class_name")
        registered = str(value.get("registered_name") or name)
        # What was registered is PACKAGE>NAME, whatever module it came from.
        foreign = ">" in registered or not module.startswith(("keras", "builtins"))
        if isinstance(name, str) and "config" in value and foreign:
            yield registered
        for item in value.values():
            yield from _custom(item)
    elif isinstance(value, list):
        for item in value:
            yield from _custom(item)


def _flat(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _flat(layer)


def _last_activation(model: Any) -> str:
    layer = model.layers[-1]
    while hasattr(layer, "layers"):
        layer = layer.layers[-1]
    if type(layer).__name__ in ("Softmax", "Sigmoid"):
        return type(layer).__name__.lower()
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    return name if name in ("softmax", "sigmoid", "linear") else ""


# SavedModel and tfjs


def _load_saved(path: Path, size: tuple[int, ...]) -> Source:
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

    def call(image: Any) -> Any:
        return list(signature(**{name: tf.cast(image, spec.dtype)}).values())

    shape = fixed(path, tuple(spec.shape)[1:], size)
    variables = getattr(model, "variables", ())
    return _plain(path, call, shape, "saved-model", variables, model)


def _load_tfjs(path: Path, size: tuple[int, ...]) -> Source:
    import tensorflow as tf

    graph = tfjs.graph_def(path)
    inputs = [node for node in graph.node if node.op == "Placeholder"]
    if len(inputs) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs", "convert a model with one image input")
    used = {name.split(":")[0].lstrip("^") for node in graph.node for name in node.input}
    ends = [node.name for node in graph.node if node.name not in used and node.op not in ("NoOp", "Const")]
    sides = [dimension.size for dimension in inputs[0].attr["shape"].shape.dim]
    shape = fixed(path, tuple(None if side < 1 else side for side in sides[1:]), size)
    wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph, name=""), [])
    call = wrapped.prune(f"{inputs[0].name}:0", [f"{name}:0" for name in ends])
    return _plain(path, call, shape, "tfjs", (), wrapped)


def _plain(
    path: Path, call: Callable[[Any], Any], shape: tuple[int, int, int], kind: str, variables: Any, keep: Any
) -> Source:
    outputs = _output_shapes(path, call, shape)
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


# What holds for all


def fixed(path: Path, sides: tuple[int | None, ...], size: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of the input.

    Args:
        path: for messages.
        sides: as the model says, without the batch; None for free.
        size: (height, width) that the user wants, or empty.

    Raises:
        ModelError: no picture, or a free size that nobody fixes.
        UsageError: ``size`` contradicts the model.
    """
    if len(sides) != 3 or sides[2] not in (1, 3):
        shown = " x ".join("?" if side is None else str(side) for side in sides)
        raise ModelError(f"{path} takes {shown}, not height x width x 1 or 3", "convert a model of pictures")
    height, width, channels = sides
    if size:
        for have, want in ((height, size[0]), (width, size[1])):
            if have is not None and have != want:
                raise UsageError(
                    f"{path} takes pictures of {width}x{height}, not {size[1]}x{size[0]}",
                    "leave --input-size out",
                )
        height, width = size
    if not height or not width:
        raise ModelError(
            f"{path} takes pictures of any size, a .tflite has one", "add --input-size 224 (or WIDTHxHEIGHT)"
        )
    return height, width, int(channels or 3)


def _output_shapes(
    path: Path, call: Callable[[Any], Any], shape: tuple[int, int, int]
) -> tuple[tuple[int, ...], ...]:
    import tensorflow as tf

    spec = tf.TensorSpec([1, *shape], tf.float32)
    try:
        outputs = tf.nest.flatten(tf.function(call).get_concrete_function(spec).structured_outputs)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[-1][:160] if lines else type(error).__name__
        raise ModelError(
            f"{path} does not work on pictures of {shape[1]}x{shape[0]} ({why})",
            "give another --input-size, or convert a model with one image input",
        ) from error
    return tuple(tuple(side or 0 for side in output.shape) for output in outputs)


def _refuse_nan(path: Path, source: Source) -> None:
    keep = source.keep
    weights = keep.weights if hasattr(keep, "weights") else keep[1] if isinstance(keep, tuple) else ()
    broken = [w for w in weights if not np.isfinite(np.asarray(w.numpy(), np.float32)).all()]
    if broken:
        name = getattr(broken[0], "path", broken[0].name)
        raise ModelError(
            f"{path}: {len(broken)} of {len(weights)} weights hold NaN or infinity, the first is {name}",
            "go back to a checkpoint from before the training diverged",
        )


def missing() -> EdgecamError:
    """The error where there is no TensorFlow."""
    return EdgecamError("TensorFlow is not installed", "pip install 'edgecam[convert]'")
