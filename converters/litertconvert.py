"""LiteRT's own quantizer (package ``litert-quantizer``), from the float twin. Runs in the child process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from converters import compact, flatmodel, graph
from converters.recipes import Quantization
from edgecam.errors import ModelError
from edgecam.tflite import SSD_OP
from edgecam.types import Floats

Progress = Callable[[int, int | None], None]


def convert(
    model: Path, recipe: Quantization, calibration: Floats | None, progress: Progress | None = None
) -> bytes:
    """A quantised ``.tflite`` without contract.

    Args:
        model: the float twin.
        recipe: how; ``int8`` weights with ``int8``, ``int16`` or ``float32`` activations.
        calibration: normalised pictures, float32 (N, H, W, C); needed where the recipe is calibrated.
        progress: called with (calibrated, pictures in all).

    Raises:
        ModelError: the quantizer cannot do it.
    """
    from litert_quantizer import Quantizer

    data = flatmodel.bare(model.read_bytes())  # it cannot read a model behind another root
    quantizer = Quantizer(data)
    ended = any(operator.name == SSD_OP for operator in graph.read(data).operators)
    entries = [*_their_recipe(recipe), *([_FLOAT_OUTPUTS] if ended else []), *map(_kept, recipe.keep)]
    quantizer.load_quantization_recipe(entries)
    try:
        result: Any = None
        if quantizer.need_calibration:
            assert calibration is not None
            signature, name = _signature(data)
            pictures = {signature: _Pictures(name, calibration, progress)}
            result = quantizer.calibrate(pictures, num_threads=2)
        return _inside(bytes(quantizer.quantize(result, enable_progress_report=False).quantized_model))
    except (RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(f"litert-quantizer fails: {first[:300]}", 'use converter = "tensorflow"') from error


def _inside(model: bytes) -> bytes:
    """The model with its weights inside the FlatBuffer; behind it they could not move for the metadata."""
    from ai_edge_litert.tools import flatbuffer_utils as tools

    return compact.packed(tools.read_model_from_bytearray(bytearray(model)))


def _their_recipe(recipe: Quantization) -> Any:
    from litert_quantizer import recipe as shipped

    kinds = {
        ("int8", "int8"): shipped.static_wi8_ai8,
        ("int8", "int16"): shipped.static_wi8_ai16,
        ("int8", "float32"): shipped.dynamic_wi8_afp32,
    }
    try:
        return kinds[recipe.weights, recipe.activations]()
    except KeyError:
        what = f"{recipe.weights} weights with {recipe.activations} activations"
        raise ModelError(f"litert-quantizer does not do {what}", 'use converter = "tensorflow"') from None


#: What decodes boxes knows nothing but float, and its outputs are pixels, classes and a count.
_FLOAT_OUTPUTS = {"regex": ".*", "operation": "OUTPUT", "algorithm_key": "no_quantize"}


def _kept(name: str) -> dict[str, Any]:
    """A layer that stays float: an operator's scope is its output tensors; a later entry wins."""
    return {"regex": f"(^|;){re.escape(name)}(;|$)", "operation": "*", "algorithm_key": "no_quantize"}


def _signature(model: bytes) -> tuple[str, str]:
    """Name of the model's signature and of the input in it."""
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_content=model).get_signature_list()
    ((name, entry),) = signatures.items()
    return name, entry["inputs"][0]


class _Pictures:
    """Pictures under the name of the input; the quantizer first counts them, then goes through them."""

    def __init__(self, name: str, pictures: Floats, progress: Progress | None) -> None:
        self._name = name
        self._pictures = pictures
        self._progress = progress
        self._passes = 0

    def __len__(self) -> int:
        return len(self._pictures)

    def __iter__(self) -> Iterator[dict[str, Floats]]:
        self._passes += 1
        told = self._progress if self._passes > 1 else None
        for number, picture in enumerate(self._pictures):
            yield {self._name: np.asarray(picture[None], np.float32)}
            if told is not None:
                told(number + 1, len(self._pictures))
