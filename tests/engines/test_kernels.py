"""Our arithmetic against the interpreter's own QUANTIZE and DEQUANTIZE kernels."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from edgecam.engines.quiet import quiet
from edgecam.engines.runtimes import Runtime
from edgecam.quant import dequantize, quantize
from edgecam.types import Array, TensorInfo
from tests.engines import writer

SIZE = 4096
CASES = [
    (writer.UINT8, "uint8", 0.5, 10),
    (writer.UINT8, "uint8", 1 / 127.5, 127),
    (writer.INT8, "int8", 0.0235, 3),
    (writer.INT8, "int8", 1 / 255, -128),
]


def run(runtime: Runtime, model: bytes, real: Array, resolver: str) -> list[Array]:
    module = importlib.import_module(runtime.Interpreter.__module__)
    kind: Any = getattr(module.OpResolverType, resolver)
    with quiet():
        interpreter = runtime.Interpreter(
            model_content=model, num_threads=1, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], real)
        interpreter.invoke()
    return [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]


def values(scale: float) -> Array:
    """Reals in and far outside the range, and exact ties."""
    real = np.random.default_rng(0).normal(0, 60 * scale, SIZE).astype(np.float32)
    real[:64] = (np.arange(64) - 31.5) * np.float32(scale)
    return real.reshape(1, SIZE, 1, 1)


@pytest.mark.parametrize(("type", "dtype", "scale", "zero_point"), CASES)
def test_bit_for_bit_the_reference_kernels(
    runtime: Runtime, type: int, dtype: str, scale: float, zero_point: int
) -> None:
    real = values(scale)
    model = writer.quantizer(scale, zero_point, type, SIZE).write()
    q, back = run(runtime, model, real, "BUILTIN_REF")
    info = TensorInfo("q", q.shape, np.dtype(dtype), float(np.float32(scale)), zero_point)
    assert np.array_equal(quantize(real, info), q)
    assert np.array_equal(dequantize(q, info), back)


@pytest.mark.parametrize(("type", "dtype", "scale", "zero_point"), CASES)
def test_optimised_kernels_differ_at_ties_only(
    runtime: Runtime, type: int, dtype: str, scale: float, zero_point: int
) -> None:
    real = values(scale)
    q, back = run(runtime, writer.quantizer(scale, zero_point, type, SIZE).write(), real, "AUTO")
    info = TensorInfo("q", q.shape, np.dtype(dtype), float(np.float32(scale)), zero_point)
    steps = real.astype(np.float64) / np.float32(scale)
    tie = np.abs(np.abs(steps) % 1 - 0.5) < 1e-4
    difference = np.abs(quantize(real, info).astype(int) - q)
    assert difference[~tie].max() == 0
    assert difference.max() <= 1
    assert np.array_equal(dequantize(q, info), back)
