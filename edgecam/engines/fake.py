"""An engine without an interpreter: outputs of the model's own shapes and types, the same in every run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgecam import contract, tflite
from edgecam.contract import ModelSpec
from edgecam.engines.base import EngineOptions
from edgecam.errors import EngineError, ModelError
from edgecam.quant import quantize
from edgecam.types import Array, TensorInfo

_SSD_ROLES = ("boxes", "classes", "scores", "count")


class FakeEngine:
    """For trying everything around the model: what comes out depends on the number of the call alone.

    Shapes, types and quantisation are read from the file. What comes out:

    - of a model with ``TFLite_Detection_PostProcess``: one object of class 0, score 0.9, a quarter of the
      picture wide and high, that goes once around an ellipse in 120 calls;
    - of a model whose contract says ``classify``: 0.9 for one class, which changes every 30 calls;
    - of any other: real zeros, which every decoder takes for "nothing found".

    Raises:
        ModelError: not a TFLite model, truncated or corrupted, or an input that the fake cannot know.
    """

    def __init__(self, options: EngineOptions) -> None:
        model = tflite.load(options.model)
        spec = contract.read(options.model)
        if len(model.inputs) != 1 or not model.inputs[0].dtype:
            raise ModelError(f"{options.model} has no single image input", "choose another model")
        self._ssd = dict(zip(_SSD_ROLES, model.ssd_outputs, strict=False))
        rows = model.ssd_options.get("max_detections", 1) * model.ssd_options.get(
            "max_classes_per_detection", 1
        )
        self._rows = max(int(rows), 1)
        self._scores = _scores_of(spec, model)
        self.input = _info(model.inputs[0])
        self.outputs = tuple(
            _info(tensor, self._shape_of(index)) for index, tensor in enumerate(model.outputs)
        )
        self.device = "none"
        self.runtime = "fake"
        self.trouble = ""
        self.notes = ("this engine is a fake: what it finds is made up",)
        self._calls = 0
        self._closed = False

    def _shape_of(self, index: int) -> tuple[int, ...]:
        """The shape of an output where the file leaves it to the operator."""
        shapes = {"boxes": (1, self._rows, 4), "count": (1,)}
        for role, place in self._ssd.items():
            if place == index:
                return shapes.get(role, (1, self._rows))
        return (1,)

    def infer(self, tensor: Array) -> Sequence[Array]:
        """See :meth:`edgecam.engines.base.Engine.infer`.

        Raises:
            EngineError: wrong shape or dtype, or the engine is closed.
        """
        if self._closed:
            raise EngineError("the engine is closed", "make a new one")
        if tensor.shape != self.input.shape or tensor.dtype != self.input.dtype:
            raise EngineError(
                f"input is {tensor.dtype} {tensor.shape}, expected {self.input.dtype} {self.input.shape}"
            )
        real = [np.zeros(info.shape, np.float32) for info in self.outputs]
        if self._ssd:
            self._move_box(real)
        elif self._scores is not None:
            scores = real[self._scores].reshape(-1)
            scores[...] = 0.1 / max(len(scores) - 1, 1)
            scores[self._calls // 30 % len(scores)] = 0.9
        self._calls += 1
        return [quantize(values, info) for values, info in zip(real, self.outputs, strict=True)]

    def _move_box(self, real: list[Array]) -> None:
        angle = 2 * math.pi * (self._calls % 120) / 120
        x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
        real[self._ssd["boxes"]][0, 0] = y - 0.125, x - 0.125, y + 0.125, x + 0.125
        real[self._ssd["scores"]][0, 0] = 0.9
        real[self._ssd["count"]][0] = 1

    def close(self) -> None:
        """Safe to call twice."""
        self._closed = True


def _scores_of(spec: ModelSpec | None, model: tflite.ModelFile) -> int | None:
    """Which output holds the scores of a classifier, None if the model is none."""
    if spec is None or spec.decoder != "classify":
        return None
    outputs = [_info(tensor) for tensor in model.outputs]
    return contract.find_output(spec, outputs, "scores") or 0


def _info(tensor: tflite.Tensor, otherwise: tuple[int, ...] = ()) -> TensorInfo:
    shape = tuple(max(size, 1) for size in tensor.shape) or otherwise
    dtype = np.dtype(tensor.dtype or "float32")
    return TensorInfo(tensor.name, shape, dtype, tensor.scale, tensor.zero_point)
