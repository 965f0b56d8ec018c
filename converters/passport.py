"""The passport of a finished model: its contract with report card and golden samples, in the file itself.

The report card (``report`` of ``edgecam.json``) says what the model was made of and how good it is::

    {
      "date": "2026-11-25",
      "data": {"fingerprint": "...", "pictures": {"train": 700, "validation": 150, "test": 150}},
      "calibration": {"pictures": 100, "histogram": {"cat": 50, "dog": 50}},
      "float": {"top1": 0.91, ...}, "int8": {"top1": 0.905, ...},
      "converter": "tensorflow 2.21.0, keras 3.15.1"
    }
"""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import flatmodel, golden
from converters.embed import embed
from edgecam import contract_fields, metadata, tflite
from edgecam.contract import ModelSpec
from edgecam.errors import ContractError, ModelError, UsageError
from edgecam.types import Image

if TYPE_CHECKING:
    from converters.dataset import Dataset

log = logging.getLogger(__name__)

_BARS = 100  # more classes than this are summed up
_CANDIDATES = 64
_KEPT = ("top1", "top5", "ece", "ap50", "ap")


def seal(
    model: bytes,
    spec: ModelSpec,
    report: Mapping[str, Any],
    pictures: Iterable[Image] | None = None,
    count: int = golden.COUNT,
) -> bytes:
    """The finished file.

    Args:
        model: a ``.tflite``; a contract that it has is replaced.
        spec: its contract; ``outputs`` names every output's role.
        report: the report card.
        pictures: candidates for golden samples, best several times as many as samples; None for a file
            without. Those chosen will lie in the file, for everybody to see.
        count: how many samples.

    Raises:
        ModelError: not a model, or the contract does not fit it.
        NothingClearError: no picture gets a clear answer.
    """
    bare = flatmodel.bare(model)
    named = roles(bare, spec)
    entries, files = ([], {}) if pictures is None else golden.Maker(bare, spec).make(pictures, count)
    return embed(bare, replace(spec, report=dict(report), golden=tuple(entries)), named, files)


def roles(model: bytes, spec: ModelSpec) -> list[str]:
    """The role of each output in the order of the file.

    Raises:
        ContractError: an output has none.
    """
    names = [tensor.name for tensor in tflite.parse(model).outputs]
    by_name = {wanted: role for role, wanted in spec.outputs.items()}
    found = [by_name.get(name, by_name.get(str(index), "")) for index, name in enumerate(names)]
    if len(names) == 1 and not found[0] and spec.task == "classify":
        return ["scores"]
    if "" in found:
        raise ContractError(
            f"output {names[found.index('')]!r} has no role", "name it in the contract's outputs"
        )
    return found


def card(
    data: Dataset,
    per_class: Mapping[str, int] | None,
    figures: Mapping[str, Mapping[str, Any]],
    converter: str,
    date: str = "",
) -> dict[str, Any]:
    """The report card.

    Args:
        data: the split.
        per_class: class -> calibration pictures of it; None for a variant without calibration.
        figures: name of a variant (``float``, ``int8``) -> what was measured.
        converter: packages and versions.
        date: today if not given (the day of ``SOURCE_DATE_EPOCH``, where that is set).
    """
    report: dict[str, Any] = {
        "date": date or today(),
        "data": {
            "fingerprint": data.fingerprint,
            "pictures": {part: len(samples) for part, samples in data.parts().items()},
        },
        **figures,
        "converter": converter,
    }
    if per_class is not None:
        report["calibration"] = {"pictures": sum(per_class.values()), "histogram": histogram(per_class)}
    return report


def histogram(per_class: Mapping[str, int]) -> dict[str, int]:
    """Class -> pictures of it, if any; of very many classes how many there are, the least and the most."""
    if len(per_class) > _BARS:
        counts = per_class.values()
        return {"classes": sum(map(bool, counts)), "least": min(counts), "most": max(counts)}
    return {name: count for name, count in per_class.items() if count}


def carry_over(source: bytes, compiled: bytes) -> bytes:
    """The passport of a model in the file that a compiler made of it and that has lost it.

    The golden samples go with it unchanged: what the model says on the CPU is what it must say there too.

    Args:
        source: the file that was compiled; without a contract nothing is carried over.
        compiled: the result, its outputs in the same order.

    Raises:
        ModelError: a file is damaged, or the result has another number of outputs.
    """
    appended = metadata.Appended(source)
    if contract_fields.MEMBER not in appended.names:
        return compiled
    spec = ModelSpec(**contract_fields.gather("", tflite.parse(source), appended, {}))
    named = roles(source, spec)
    outputs = [tensor.name for tensor in tflite.parse(compiled).outputs]
    if len(outputs) != len(named):
        raise ModelError(f"the compiled model has {len(outputs)} outputs, its source {len(named)}")
    files = {name: appended.read(name) or b"" for name in appended.names if name.startswith(golden.FOLDER)}
    return embed(compiled, replace(spec, outputs=dict(zip(named, outputs, strict=True))), named, files)


def samples(model: bytes) -> int:
    """How many golden samples a file holds."""
    names = metadata.Appended(model).names
    return sum(name.startswith(golden.FOLDER) for name in names)


def figures(judged: Mapping[str, Any]) -> dict[str, Any]:
    """What to carry along of a judged variant (:class:`converters.judging.figures.Figures`, as JSON)."""
    accuracy = judged["accuracy"]
    kept = {key: round(accuracy[key], 4) for key in _KEPT if accuracy.get(key) is not None}
    return {**kept, "pictures": accuracy["pictures"], "bytes": judged["bytes"], "macs": judged["macs"]}


def today() -> str:
    """The date as ISO 8601; that of ``SOURCE_DATE_EPOCH`` for builds that must be repeatable."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def of_folder(folder: Path) -> list[Image]:
    """All pictures in a folder and below it.

    Raises:
        UsageError: there is none.
    """
    from converters.data.entries import pictures
    from edgecam.sources.images import load_picture

    found = pictures(folder)
    if not found:
        raise UsageError(f"{folder} holds no pictures", "name a folder of pictures for golden samples")
    return [load_picture(path) for path in found]


def candidates(data: Dataset, seed: int = 0, count: int = _CANDIDATES) -> list[Image]:
    """Test pictures of many classes, from which golden samples are chosen."""
    from converters import dataset
    from edgecam.sources.images import load_picture

    pool = replace(data, train=data.test)
    return [load_picture(sample.path) for sample in dataset.calibration(pool, count, seed)]
