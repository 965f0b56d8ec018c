"""The interpreter packages: ai-edge-litert and tflite-runtime.

Both speak the same Python interface. Which one works shows only when an interpreter is made: tflite-runtime
2.14 under NumPy 2 imports without complaint and fails then.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgecam.engines.quiet import quiet
from edgecam.errors import EngineError, UnknownNameError

_PACKAGES = {
    "litert": ("ai-edge-litert", "ai_edge_litert.interpreter", "pip install ai-edge-litert"),
    "tflite-runtime": (
        "tflite-runtime",
        "tflite_runtime.interpreter",
        "pip install 'edgecam[tflite-runtime]' (Python 3.11, NumPy below 2)",
    ),
}


class UnusableRuntimeError(EngineError):
    """This interpreter package is absent or cannot work here; another one may."""


@dataclass(frozen=True)
class Runtime:
    """An imported interpreter package.

    Attributes:
        name: ``litert`` or ``tflite-runtime``.
        label: package and version, for people.
        Interpreter: the class.
        load_delegate: the function.
    """

    name: str
    label: str
    Interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]

    def interpreter(self, data: bytes, threads: int, delegates: list[Any]) -> Any:
        """An interpreter for a verified model, tensors not allocated.

        Raises:
            UnusableRuntimeError: the package does not work here.
            RuntimeError: it, or a delegate, refuses the model (ValueError too).
        """
        try:
            return self.Interpreter(
                model_content=data, num_threads=threads, experimental_delegates=delegates or None
            )
        except (SystemError, ImportError, AttributeError) as error:
            raise UnusableRuntimeError(
                f"{self.label} does not work with the installed NumPy ({error.__cause__ or error})",
                _PACKAGES[self.name][2],
            ) from error


def load(name: str) -> Runtime:
    """Import one package.

    Raises:
        UnusableRuntimeError: absent, or its import fails.
    """
    package, module_name, remedy = _PACKAGES[name]
    try:
        with quiet():
            module = importlib.import_module(module_name)
        version = importlib.metadata.version(package)
    except (ImportError, AttributeError, SystemError) as error:
        absent = isinstance(error, ModuleNotFoundError)  # PackageNotFoundError is one too
        reason = f"{package} is not installed" if absent else f"{package} cannot be imported ({error})"
        raise UnusableRuntimeError(reason, remedy) from error
    return Runtime(name, f"{package} {version}", module.Interpreter, module.load_delegate)


def names(wanted: str) -> tuple[str, ...]:
    """The packages to try, best first, for ``auto``, ``litert`` or ``tflite-runtime``.

    Raises:
        UnknownNameError: none of these.
    """
    if wanted == "auto":
        return tuple(_PACKAGES)
    if wanted not in _PACKAGES:
        raise UnknownNameError("runtime", wanted, ["auto", *_PACKAGES])
    return (wanted,)


def installed(wanted: str) -> str:
    """Package and version of the first of :func:`names` that is installed, not imported; "" for none."""
    for name in names(wanted):
        package = _PACKAGES[name][0]
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{package} {importlib.metadata.version(package)}"
    return ""


def available(wanted: str) -> Iterator[Runtime]:
    """The packages of :func:`names` that can be imported; which of them work is seen when used."""
    for name in names(wanted):
        try:
            yield load(name)
        except UnusableRuntimeError:
            continue
