"""A model of which every tensor can be looked at after a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters import graph, macs
from converters.graph import Operator
from edgecam import contract, tflite
from edgecam.engines.quiet import quiet
from edgecam.preprocess import Preprocessor
from edgecam.types import Array, Image, TensorInfo


@dataclass
class Grid:
    """The values that a quantised tensor can take."""

    scale: float
    zero_point: int
    low: int
    high: int

    def nearest(self, real: Array) -> tuple[Array, float]:
        """Each value on the grid, and the fraction that lay outside."""
        whole = np.rint(np.asarray(real, np.float64) / self.scale) + self.zero_point
        inside = np.clip(whole, self.low, self.high)
        return (inside - self.zero_point) * self.scale, float(np.mean(inside != whole))


class Inside:
    """An interpreter that keeps every tensor.

    Args:
        path: a ``.tflite`` with a contract.

    Raises:
        ModelError: the file or its contract is wrong.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        data = tflite.load(path).data
        self.graph = graph.read(data)
        with quiet():
            self._interpreter = Interpreter(
                model_content=data,
                experimental_preserve_all_tensors=True,
                # A delegate would keep its own tensors to itself.
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._allocate()
        self._details = {entry["index"]: entry for entry in self._interpreter.get_tensor_details()}
        self._input = self.graph.inputs[0]
        entry = self._details[self._input]
        scales, zeros = self._parameters(self._input)
        info = TensorInfo(
            str(entry["name"]),
            tuple(int(n) for n in entry["shape"]),
            np.dtype(entry["dtype"]),
            float(scales[0]) if len(scales) else 0.0,
            int(zeros[0]) if len(zeros) else 0,
        )
        self._prepare = Preprocessor(contract.resolve(path), info)

    def _allocate(self) -> None:
        entry = self._interpreter.get_input_details()[0]
        if entry["shape"][0] != 1:
            self._interpreter.resize_tensor_input(entry["index"], [1, *entry["shape"][1:]])
        self._interpreter.allocate_tensors()

    def run(self, image: Image) -> None:
        self._interpreter.set_tensor(self._input, self._prepare.from_image(image)[0])
        self._interpreter.invoke()

    def _parameters(self, index: int) -> tuple[Array, Array]:
        entry = self._details[index]["quantization_parameters"]
        return entry["scales"], entry["zero_points"]

    def real(self, index: int) -> Array:
        """A tensor's values as real numbers, float32."""
        value = self._interpreter.get_tensor(index)
        scales, zeros = self._parameters(index)
        if value.dtype.kind == "f" or not len(scales):
            return np.asarray(value, np.float32)
        if len(scales) > 1:
            shape = [1] * value.ndim
            shape[self._details[index]["quantization_parameters"]["quantized_dimension"]] = -1
            scales, zeros = scales.reshape(shape), zeros.reshape(shape)
        return np.asarray((value.astype(np.float32) - zeros) * scales, np.float32)

    def grid(self, index: int) -> Grid | None:
        """What the tensor can hold, None for a float one."""
        dtype = np.dtype(self._details[index]["dtype"])
        scales, zeros = self._parameters(index)
        if dtype.kind == "f" or len(scales) != 1:
            return None
        limits = np.iinfo(dtype)
        return Grid(float(scales[0]), int(zeros[0]), int(limits.min), int(limits.max))

    def weights(self, op: Operator) -> Iterator[int]:
        """The constant that the operator multiplies by, if there is one: its number."""
        if op.name in macs.MULTIPLYING and len(op.inputs) > 1:
            found = self.graph.weights(op.inputs[1])
            if found is not None:
                yield found.index
