"""Write a model's contract into its file (see :mod:`edgecam.contract` for the format).

The result depends on nothing but the arguments: same model, same contract, same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters import flatmodel, metadata
from converters.files import write_whole
from edgecam import tflite
from edgecam.contract import ModelSpec
from edgecam.errors import ContractError

FORMAT = 1
CONTRACT = "edgecam.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: dates would make every build differ


def embed(
    model: bytes, spec: ModelSpec, outputs: Sequence[str], files: Mapping[str, bytes] | None = None
) -> bytes:
    """The model with its contract: standard metadata inside, a stored zip behind.

    Args:
        model: a ``.tflite``; a contract it already has is replaced.
        spec: the contract.
        outputs: the role of each output, in the order of the file (see :func:`converters.metadata.build`).
        files: more members of the zip, by name: the pictures of golden samples.

    Raises:
        ModelError: not a TFLite model.
        ContractError: not one role for each output, or the contract cannot be written (a label of two lines,
            a report with NaN).
    """
    count = len(tflite.parse(model).outputs)
    if count != len(outputs):
        raise ContractError(f"{spec.name}: {len(outputs)} roles for {count} outputs", "name one for each")
    out = io.BytesIO(flatmodel.with_metadata(model, metadata.build(spec, outputs)))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        if spec.labels:
            _add(archive, metadata.LABELS, labels_text(spec.labels))
        _add(archive, CONTRACT, contract_json(spec))
        for name, data in sorted((files or {}).items()):
            _add(archive, name, data)
    return out.getvalue()


def named(model: bytes, spec: ModelSpec, roles: Sequence[str]) -> ModelSpec:
    """The contract with the names of the outputs that play the roles, in the order of the file."""
    names = [tensor.name for tensor in tflite.parse(model).outputs]
    return replace(spec, outputs=dict(zip(roles, names, strict=True)))


def embed_file(source: Path, target: Path, spec: ModelSpec, outputs: Sequence[str]) -> None:
    """:func:`embed` from file to file; the target appears whole or not at all.

    The contract names the outputs as this file does.
    """
    model = source.read_bytes()
    write_whole(target, embed(model, named(model, spec, outputs), outputs))


def contract_json(spec: ModelSpec) -> bytes:
    """``edgecam.json`` for a contract; labels are not in it, empty values are left out."""
    content: dict[str, Any] = {
        "edgecam": FORMAT,
        "name": spec.name,
        "version": spec.version,
        "description": spec.description,
        "licence": spec.licence,
        "origin": spec.origin,
        "task": spec.task,
        "decoder": spec.decoder,
        "input": {
            "color": spec.color,
            "resize": spec.resize,
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
        "outputs": dict(spec.outputs),
        "options": dict(spec.options),
        "report": dict(spec.report),
        "golden": [dict(sample) for sample in spec.golden],
    }
    kept = {key: value for key, value in content.items() if value not in ("", {}, [])}
    try:
        return (json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ContractError(f"{spec.name}: the contract is not JSON ({error})") from error


def labels_text(labels: Sequence[str]) -> bytes:
    """``labels.txt``: one label a line, ``???`` for unused slots (readers elsewhere skip empty lines).

    Raises:
        ContractError: a label is longer than a line.
    """
    for label in labels:
        if len(label.splitlines()) > 1:
            raise ContractError(f"label {label!r} has several lines", "labels stand one a line")
    return "".join(f"{label or '???'}\n" for label in labels).encode()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # Unix, wherever this runs
    info.external_attr = 0o644 << 16
    archive.writestr(info, data, zipfile.ZIP_STORED)
