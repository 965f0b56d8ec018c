"""Where the fields of a contract come from: ``edgecam.json``, standard metadata, the user, and custom.

Fields are those of :class:`edgecam.contract.ModelSpec`, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecam import contract_json, labels, metadata
from edgecam.errors import ContractError
from edgecam.metadata import Appended
from edgecam.registry import HEADS
from edgecam.tflite import ModelFile

MEMBER = "edgecam.json"
LABELS = "labels.txt"
FORMAT = 1

TASKS = ("classify", "detect")
COLORS = ("rgb", "bgr", "gray")
RESIZES = ("stretch", "letterbox", "crop")

_TO_UNIT = ((0.0,), (255.0,))
_TO_SIGNED = ((127.5,), (127.5,))


@dataclass(frozen=True)
class Convention:
    """What everybody who exports for a decoder does; used where neither the file nor the user says more."""

    task: str
    resize: str = "stretch"
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None


# A decoder that is not here works too; a foreign model for it needs more flags.
CONVENTIONS = {
    "classify": Convention("classify"),
    "ssd-postprocess": Convention("detect"),
    "ssd-anchors": Convention("detect"),
    "yolov5": Convention("detect", "letterbox", _TO_UNIT),
    "yolov8": Convention("detect", "letterbox", _TO_UNIT),
    "blazeface": Convention("detect", "letterbox", _TO_SIGNED),
}


def gather(stem: str, model: ModelFile, appended: Appended, user: Mapping[str, Any]) -> dict[str, Any]:
    """All fields that are known; the user's word over the file's over custom.

    Args:
        stem: the model's name if the file gives none.
        model: the verified file.
        appended: the zip behind it.
        user: fields from flags.

    Raises:
        ModelError: a part of the file is damaged.
        ContractError: a field is wrong, missing or contradicts another.
    """
    own = appended.read(MEMBER)
    known = _from_metadata(model, appended) if own is None else _from_json(own, appended)
    for name, value in user.items():
        known[name] = {**known.get(name, {}), **value} if isinstance(value, Mapping) else value
    if "decoder" in user and "task" not in user:
        known.pop("task", None)
    if known.get("task") == "classify":
        known.setdefault("decoder", "classify")
    _apply_convention(known, _pixels_as_they_are(model))
    _refuse_missing(known)
    return {"name": stem, "resize": "stretch", **known}


def _apply_convention(known: dict[str, Any], as_they_are: dict[str, Any]) -> None:
    convention = CONVENTIONS.get(known.get("decoder", ""))
    if convention is not None:
        if known.setdefault("task", convention.task) != convention.task:
            raise ContractError(
                f"decoder {known['decoder']!r} does not fit task {known['task']!r}",
                f"add --task {convention.task}, or another --decoder",
            )
        known.setdefault("resize", convention.resize)
    if "mean" not in known:
        known.update(as_they_are)
    if "mean" not in known and convention is not None and convention.mean_std is not None:
        known["mean"], known["std"] = convention.mean_std


def _refuse_missing(known: Mapping[str, Any]) -> None:
    missing, add = [], []
    if "decoder" not in known:  # which tells the task
        missing.append("decoder")
        add.append(f"--decoder {'|'.join(HEADS)}")
    elif "task" not in known:
        missing.append("task")
        add.append(f"--task {'|'.join(TASKS)}")
    if "mean" not in known:
        missing.append("normalisation")
        spared = "/".join(name for name, convention in CONVENTIONS.items() if convention.mean_std)
        add.append("--normalize MEAN,STD" + ("" if "decoder" in known else f" (not for {spared})"))
    if missing:
        if not known.get("labels"):
            add.append("--labels FILE")
        raise ContractError(f"the model does not say its {' and '.join(missing)}", f"add {' '.join(add)}")


def _from_json(data: bytes, appended: Appended) -> dict[str, Any]:
    top = contract_json.load(data, FORMAT)
    image = top.section("input")
    mean, std = image.numbers("mean"), image.numbers("std")
    if (mean is None) != (std is None):
        raise ContractError("edgecam.json input: mean and std go together", contract_json.REMEDY)
    if std is not None and min(std) <= 0:
        raise ContractError("edgecam.json input: std must be above 0", contract_json.REMEDY)
    texts = ("name", "version", "description", "licence", "origin")
    found: dict[str, Any] = {
        **{key: top.text(key) for key in texts},
        "task": top.choice("task", TASKS),
        "decoder": top.choice("decoder", HEADS),
        "color": image.choice("color", COLORS),
        "resize": image.choice("resize", RESIZES),
        "mean": mean,
        "std": std,
        "outputs": top.roles("outputs"),
        "options": top.mapping("options"),
        "report": top.mapping("report"),
        "golden": top.objects("golden"),
    }
    lines = appended.read(LABELS)
    if lines is not None:
        found["labels"] = labels.decode(lines, LABELS, numbered=False)
    return {key: value for key, value in found.items() if value not in (None, "")}


def _from_metadata(model: ModelFile, appended: Appended) -> dict[str, Any]:
    standard = metadata.standard(model, appended)
    texts = ("version", "description", "licence")
    found: dict[str, Any] = {key: standard.texts[key] for key in texts if key in standard.texts}
    if standard.labels:
        found["labels"] = standard.labels
    if standard.color:
        found["color"] = standard.color
    as_they_are = _pixels_as_they_are(model)
    if as_they_are:  # other tools apply the metadata's normalisation to float inputs alone
        found.update(as_they_are)
    elif standard.mean:
        found["mean"], found["std"] = standard.mean, standard.std
    if len(model.inputs) == 1 and model.inputs[0].shape[3:] == (1,):
        found["color"] = "gray"
    if model.ssd_outputs:  # the operator itself says which output is what
        found["decoder"] = "ssd-postprocess"
        roles = ("boxes", "classes", "scores", "count")
        found["outputs"] = {role: str(i) for role, i in zip(roles, model.ssd_outputs, strict=True)}
    return found


def _pixels_as_they_are(model: ModelFile) -> dict[str, Any]:
    """Mean and std under which a uint8 input's integers are the pixels; empty for other inputs."""
    if len(model.inputs) != 1 or model.inputs[0].dtype != "uint8":
        return {}
    scale, zero_point = model.inputs[0].scale, model.inputs[0].zero_point
    return {"mean": (float(zero_point),), "std": (1 / scale if scale else 1.0,)}
