"""Models as they come from training: ``.keras``, ``.h5``, SavedModel, tfjs. Needs TensorFlow.

Whatever it was, it becomes one function from a normalised picture, float32 (1, H, W, C), to its outputs.
"""

from __future__ import annotations

import json
import runpy
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from converters import saved_io
from converters.detector import SsdGraph
from converters.qat import learnt
from converters.source import Source, fixed, output_shapes, refuse_nan
from edgecam.errors import ModelError, UsageError

HDF5 = (".h5", ".hdf5")
SUFFIXES = (".keras", *HDF5)
_SCALING = ("Rescaling", "Normalization")


def load(
    path: Path,
    *,
    size: tuple[int, ...] = (),
    custom: Path | None = None,
    allow_lambda: bool = False,
    cut: SsdGraph | None = None,
) -> Source:
    """Read a model.

    Args:
        path: a file, the folder of a SavedModel, or a tfjs ``model.json``.
        size: (height, width) for a model whose size is free.
        custom: a Python file to run first; it registers the model's own layers.
        allow_lambda: run Python code that the file holds.
        cut: the detector in a tfjs graph, whose decoder is cut away.

    Raises:
        ModelError: not such a model; custom layers (named); a free size; several inputs; weights that are
            not numbers.
        UsageError: ``size`` contradicts the model.
    """
    if custom is not None:
        _run_custom(custom)
    if cut is not None:
        source = saved_io.load_ssd(path, cut)
    elif path.is_dir():
        source = saved_io.load_saved(path, size)
    elif path.name.endswith(".json"):
        source = saved_io.load_tfjs(path, size)
    elif path.suffix.lower() in SUFFIXES:
        source = _load_keras(path, size, allow_lambda)
    elif not path.exists():
        raise ModelError(f"{path} does not exist", "name a Keras model")
    else:
        raise ModelError(f"{path} is of no known kind", "give .keras, .h5, a SavedModel or a tfjs model.json")
    refuse_nan(path, source)
    return source


def _run_custom(path: Path) -> None:
    try:
        runpy.run_path(str(path))
    except Exception as error:
        raise UsageError(
            f"{path} fails ({type(error).__name__}: {error})", "correct the file of --custom"
        ) from error


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
    source = Source(
        call=lambda image: model(image, training=False),
        shape=shape,
        outputs=output_shapes(path, lambda image: model(image, training=False), shape),
        activation=_last_activation(model),
        scaling=next((kind for layer in layers if (kind := type(layer).__name__) in _SCALING), ""),
        names=tuple(layer.name for layer in [model, *layers] if hasattr(layer, "layers")),
        parameters=int(model.count_params()),
        kind=path.suffix.lower()[1:],
        keep=model,
        output_names=_output_names(model),
    )
    return learnt.with_ranges(path, model, source)


def _output_names(model: Any) -> tuple[str, ...]:
    """In the order in which TensorFlow flattens the outputs: that of a dictionary's sorted keys."""
    outputs = getattr(model, "output", None)
    if isinstance(outputs, Mapping):
        return tuple(sorted(outputs))
    return tuple(getattr(model, "output_names", None) or ())


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
