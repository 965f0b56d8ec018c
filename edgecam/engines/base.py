"""What every engine does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgecam.types import Array, TensorInfo


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model.

    Attributes:
        model: path of the ``.tflite`` file.
        threads: CPU threads, 0 for one per core (up to 4).
        tuned: that number was measured to be best here, which the label says.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        device: ``auto`` (an Edge TPU if the model is compiled for one), ``cpu``, ``usb``, ``usb:0``,
            ``pci``, ``pci:0``.
        delegate: path of an external delegate library, or "".
        delegate_options: options handed to the delegate.
        require_delegate: fail rather than fall back to the CPU.
    """

    model: Path
    threads: int = 0
    tuned: bool = False
    runtime: str = "auto"
    device: str = "auto"
    delegate: str = ""
    delegate_options: dict[str, str] = field(default_factory=dict)
    require_delegate: bool = False


class Engine(Protocol):
    """A loaded model, ready to run.

    Attributes:
        input: the image input, shape (1, H, W, C).
        outputs: every output, in the interpreter's order.
        device: what it runs on, for people (``CPU x4``, ``Edge TPU usb:0``).
        runtime: what runs it, for people (``ai-edge-litert 2.3.0``).
        notes: lines worth telling the user (a fallback and its reason).
        trouble: why it does not work as it should for now, "" while it does; see it after each run.
    """

    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    runtime: str
    notes: tuple[str, ...]

    @property
    def device(self) -> str: ...

    @property
    def trouble(self) -> str: ...

    def infer(self, tensor: Array) -> Sequence[Array]:
        """Run once.

        Args:
            tensor: shape and dtype of ``input``; not changed, not kept.

        Returns:
            The raw outputs in the order of ``outputs``, still quantised; valid until the next call.

        Raises:
            EngineError: the interpreter or its delegate failed.
        """

    def close(self) -> None:
        """Free the interpreter; safe to call twice."""
