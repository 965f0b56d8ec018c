"""What there is to know about a model file, as plain values for ``edgecam model info``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from edgecam import contract, metadata, tflite
from edgecam.contract import ModelSpec, Overrides
from edgecam.contract_fields import MEMBER
from edgecam.errors import ContractError


def describe(path: Path, overrides: Overrides | None = None) -> dict[str, Any]:
    """Everything without an interpreter, ready for JSON.

    Returns:
        ``file``, ``bytes``, ``sha256``, ``description`` (the converter's), ``inputs`` and ``outputs`` (name,
        shape with ``-1`` for what varies, dtype, scale, zero_point), ``operators`` (their number),
        ``custom_operators``, ``edgetpu`` (compiled for it), ``metadata`` (names of the metadata buffers),
        ``files`` (names in the appended zip), ``has_contract``, ``contract`` (the resolved one, None where
        something is missing) and ``problem`` (what is missing and which flags to add, "" if nothing).

    Raises:
        ModelError: not a TFLite model, truncated or corrupted.
    """
    model = tflite.load(path)
    spec, problem = None, ""
    try:
        spec = contract.resolve(path, overrides)
    except ContractError as error:
        problem = str(error)
    appended = metadata.Appended(model.data)
    return {
        "file": str(path),
        "bytes": len(model.data),
        "sha256": hashlib.sha256(model.data).hexdigest(),
        "description": model.description,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
        "operators": model.operators,
        "custom_operators": list(model.custom_ops),
        "edgetpu": model.compiled_for_edgetpu,
        "metadata": list(model.metadata),
        "files": list(appended.names),
        "has_contract": MEMBER in appended.names,
        "contract": _contract(spec),
        "problem": problem,
    }


def _tensor(tensor: tflite.Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.signature),
        "dtype": tensor.dtype or "unknown",
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _contract(spec: ModelSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    return {
        "name": spec.name,
        "version": spec.version,
        "description": spec.description,
        "licence": spec.licence,
        "origin": spec.origin,
        "task": spec.task,
        "decoder": spec.decoder,
        "labels": list(spec.labels),
        "color": spec.color,
        "resize": spec.resize,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "outputs": dict(spec.outputs),
        "options": dict(spec.options),
        "report": dict(spec.report),
        "golden": len(spec.golden),
    }
