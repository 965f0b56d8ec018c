"""Which delegate an engine shall use: one named by the user, or an Edge TPU found by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgecam import accelerators
from edgecam.engines.base import EngineOptions
from edgecam.errors import DelegateError
from edgecam.tflite import ModelFile

_SUFFIX = "_edgetpu"


@dataclass(frozen=True)
class Choice:
    """A delegate to try, or the reason why there is none to try.

    Attributes:
        library: path or soname.
        options: for the delegate.
        label: what to show as the device.
        problem: why it cannot be tried, "" if it can.
        patience: how many times to try again.
        hopeless: it will not work later either.
    """

    library: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    problem: str = ""
    patience: int = 0
    hopeless: bool = False


def choose(options: EngineOptions, model: ModelFile, notes: list[str]) -> Choice | None:
    """The delegate that the options ask for; None for the CPU.

    Raises:
        DelegateError: the model is compiled for an Edge TPU and the options say CPU.
    """
    device = options.device
    if options.delegate:
        chosen = {"device": device} if device not in ("auto", "cpu") else {}
        label = f"delegate {Path(options.delegate).name}"
        return Choice(options.delegate, {**chosen, **options.delegate_options}, label)
    if model.compiled_for_edgetpu:
        if device == "cpu":
            raise needs_edgetpu(options.model, "the CPU was asked for")
        return _edge_tpu("" if device == "auto" else device)
    if device != "cpu":
        _point_to_twin(options, notes)
    if device in ("auto", "cpu") and not options.require_delegate:
        return None
    return Choice(problem=f"{options.model.name} is not compiled for the Edge TPU", hopeless=True)


def needs_edgetpu(model: Path, reason: str) -> DelegateError:
    """The error for a compiled model without a working Edge TPU; names the CPU's twin if it is there."""
    other = twin(model)
    remedy = f"use {other}, which runs on the CPU" if other else "use the same model before its compilation"
    return DelegateError(f"{model} is compiled for the Edge TPU, and {reason}", remedy)


def twin(model: Path) -> Path | None:
    """The model that this one was compiled from, by its name, if it is there."""
    other = model.with_name(model.name.replace(_SUFFIX, ""))
    return other if other != model and other.is_file() else None


def _edge_tpu(device: str) -> Choice:
    """``device``: "", ``usb``, ``usb:0``, ``pci``, ``pci:0``."""
    found = accelerators.edge_tpus()
    fitting = [tpu for tpu in found if device in ("", tpu.kind, tpu.device)]
    if not fitting:
        others = f" (found: {', '.join(tpu.device for tpu in found)})" if found else ""
        return Choice(problem=f"no Edge TPU {device or 'found'}{' found' if device else ''}{others}")
    tpu = fitting[0]
    if not tpu.accessible:
        return Choice(problem=f"no permission to use the Edge TPU {tpu.device} at {tpu.path} ({tpu.remedy})")
    return Choice(accelerators.LIBRARY, {"device": tpu.device}, f"Edge TPU {tpu.device}", patience=6)


def _point_to_twin(options: EngineOptions, notes: list[str]) -> None:
    twin = options.model.with_name(f"{options.model.stem}{_SUFFIX}{options.model.suffix}")
    if twin.is_file() and accelerators.edge_tpus():
        notes.append(f"an Edge TPU is here, and {twin} is compiled for it")
