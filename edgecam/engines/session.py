"""One interpreter, loaded, allocated and run once; the engine's and the probe's common ground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecam.engines.quiet import quiet
from edgecam.engines.runtimes import Runtime
from edgecam.errors import DelegateError, EngineError, ModelError
from edgecam.types import Array, TensorInfo


class Session:
    """An interpreter ready to run.

    Args:
        runtime: the interpreter package.
        data: a verified model.
        threads: CPU threads.
        library: a delegate library, or "".
        options: the delegate's options.

    Raises:
        UnusableRuntimeError: the package does not work here.
        DelegateError: the library cannot be loaded, or refuses.
        EngineError: the interpreter refuses the model.
    """

    def __init__(
        self,
        runtime: Runtime,
        data: bytes,
        threads: int,
        library: str = "",
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._delegated = bool(library)
        with quiet():
            delegates = [_load_delegate(runtime, library, dict(options or {}))] if library else []
            self._interpreter = self._prepare(runtime, data, threads, delegates)
            details = self._interpreter.get_input_details()[0]
            self._input = int(details["index"])
            self.input = _info(details)
            outputs = self._interpreter.get_output_details()
            self._outputs = [int(entry["index"]) for entry in outputs]
            # Sizes that depend on the data (a non-maximum suppression's) are known after a first run; and the
            # first run is slow (weights are repacked), so it is better here than on the first frame.
            arrays = self.run(np.zeros(self.input.shape, self.input.dtype))
        self.outputs = tuple(
            _info(entry).with_shape(array.shape) for entry, array in zip(outputs, arrays, strict=True)
        )

    def _prepare(self, runtime: Runtime, data: bytes, threads: int, delegates: list[Any]) -> Any:
        try:
            interpreter = runtime.interpreter(data, threads, delegates)
            details = interpreter.get_input_details()[0]
            if details["shape"][0] != 1:
                interpreter.resize_tensor_input(details["index"], [1, *details["shape"][1:]])
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error, "refuses the model") from error
        return interpreter

    def run(self, tensor: Array) -> list[Array]:
        """Run once; the outputs are copies.

        ``tensor()`` would save the copies, but a view that somebody still holds makes the next ``invoke``
        fail, and one copy of an input costs microseconds.

        Raises:
            EngineError: wrong shape or dtype, or the run failed (DelegateError with a delegate).
        """
        interpreter = self._interpreter
        try:
            interpreter.set_tensor(self._input, tensor)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in self._outputs]
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error, "failed") from error

    def close(self) -> None:
        """Nothing to do: the interpreter goes with its last reference, a run that is on may end first."""

    def _refusal(self, error: Exception, what: str) -> EngineError | ModelError:
        text = one_line(error)
        if "unresolved custom op" in text:
            name = text.partition("unresolved custom op:")[2].split()[0].strip(".")
            return ModelError(
                f"the model needs the operator {name}, which this interpreter has not",
                "convert it with builtin operators only, or name a --delegate that brings it",
            )
        if self._delegated:
            return DelegateError(
                f"the delegate {what} ({text})", "check the device, or run without the delegate"
            )
        return EngineError(
            f"the interpreter {what} ({text})", "convert the model for TensorFlow Lite 2.14 or later"
        )


def one_line(error: BaseException) -> str:
    """An interpreter's error in one line of bearable length."""
    text = str(error).replace("Node number", " Node number")  # interpreters glue their lines together
    return " ".join(text.split())[:200] or type(error).__name__


def _load_delegate(runtime: Runtime, library: str, options: dict[str, str]) -> Any:
    try:
        return runtime.load_delegate(library, options)
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        reason = one_line(error).removeprefix(f"Failed to load delegate from {library}").strip()
        raise DelegateError(
            f"the delegate {library} cannot be used ({reason})",
            "check the library, its options and the device",
        ) from error


def _info(details: Mapping[str, Any]) -> TensorInfo:
    quantisation = details["quantization_parameters"]
    scales, zero_points = quantisation["scales"], quantisation["zero_points"]
    single = len(scales) == 1
    return TensorInfo(
        name=str(details["name"]),
        shape=tuple(int(n) for n in details["shape"]),
        dtype=np.dtype(details["dtype"]),
        scale=float(scales[0]) if single else 0.0,
        zero_point=int(zero_points[0]) if single and len(zero_points) else 0,
    )
