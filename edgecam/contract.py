"""The model contract: what a ``.tflite`` says about itself.

A model file is the TFLite flatbuffer, in it the standard ``TFLITE_METADATA`` buffer, and after it an
appended, stored (uncompressed) zip with ``labels.txt`` (one label a line, line number = class id, empty or
``???`` for unused slots) and ``edgecam.json``::

    {
      "edgecam": 1,                         format version
      "name": "detect-coco",
      "version": "1.0.0",
      "description": "...", "licence": "Apache-2.0", "origin": "...",
      "task": "detect",                     classify | detect
      "decoder": "ssd-postprocess",         a name in edgecam.registry.HEADS
      "input": {
        "color": "rgb",                     rgb | bgr | gray
        "resize": "stretch",                stretch | letterbox | crop
        "mean": [127.5], "std": [127.5]     real = (pixel - mean) / std; one value or three
      },
      "outputs": {"boxes": "name", ...},    role -> tensor name or index as text; the decoder's roles
      "options": {"threshold": 0.5, ...},   the decoder's
      "report": {...},                      what was measured, and how
      "golden": [...]                       golden samples, see edgecam/verify.py
    }

Shape, dtype, scale and zero point are never here: they come from the interpreter alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecam import contract_fields, labels, metadata, tflite
from edgecam.errors import ContractError, ModelError

if TYPE_CHECKING:
    from edgecam.types import TensorInfo

Task = Literal["classify", "detect"]
Color = Literal["rgb", "bgr", "gray"]
Resize = Literal["stretch", "letterbox", "crop"]


@dataclass(frozen=True)
class ModelSpec:
    """A model's contract, read and validated.

    Attributes:
        name: short name, file stem if the file gives none.
        task: what its results are.
        decoder: key of :data:`edgecam.registry.HEADS`.
        labels: index is the class id; "" marks an unused slot. Empty if the model names none.
        color: channel order of the input.
        resize: how a frame is laid into the input.
        mean: real input = (pixel - mean) / std; one value for all channels, or one each.
        std: see ``mean``.
        outputs: role -> tensor name or decimal index; empty where the decoder can tell without.
        options: the decoder's own parameters (threshold, iou, anchors, ...).
    """

    name: str
    task: Task
    decoder: str
    labels: tuple[str, ...] = ()
    color: Color = "rgb"
    resize: Resize = "stretch"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    description: str = ""
    licence: str = ""
    origin: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    golden: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Overrides:
    """What the user's flags say of a model; None (or nothing) leaves the file's word.

    Attributes:
        task: ``--task``.
        decoder: ``--decoder``.
        labels: ``--labels``, a text file.
        color: ``--color``.
        resize: ``--resize``.
        mean_std: ``--normalize``, (mean, std), one value or three each.
        outputs: ``--output``, role -> tensor name or decimal index.
        options: the decoder's own parameters.
    """

    task: str | None = None
    decoder: str | None = None
    labels: Path | None = None
    color: str | None = None
    resize: str | None = None
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def over(self, other: Overrides) -> Overrides:
        """These, and where they say nothing, ``other``'s."""
        said = {
            entry.name: value
            for entry in fields(self)
            if (value := getattr(self, entry.name)) is not None and not isinstance(value, Mapping)
        }
        merged = replace(other, **said)
        outputs = {**other.outputs, **self.outputs}
        return replace(merged, outputs=outputs, options={**other.options, **self.options})


def read(path: Path) -> ModelSpec | None:
    """The contract that a model file carries, None if it carries none.

    Raises:
        ModelError: not a TFLite model, truncated or corrupted.
        ContractError: the contract is not valid or lacks something.
    """
    model = tflite.load(path)
    with _naming(path):
        appended = metadata.Appended(model.data)
        if contract_fields.MEMBER not in appended.names:
            return None
        return ModelSpec(**contract_fields.gather(path.stem, model, appended, {}))


def resolve(path: Path, overrides: Overrides | None = None) -> ModelSpec:
    """The contract to work by: the user's flags over the file's contract over its standard metadata.

    A file without a contract may still tell: TFLite Metadata names labels, colour and normalisation; the
    operator ``TFLite_Detection_PostProcess`` asks for the decoder ``ssd-postprocess``; a uint8 input takes
    pixels as they are (the rule of TFLite's 8-bit models); a decoder's family has its custom (YOLO models are
    letterboxed and divided by 255).

    Raises:
        ModelError: not a TFLite model, truncated or corrupted; or the label file is.
        ContractError: something is missing (the flags to add are named) or contradictory.
    """
    model = tflite.load(path)
    with _naming(path):
        said = _said(overrides or Overrides())
        spec = ModelSpec(**contract_fields.gather(path.stem, model, metadata.Appended(model.data), said))
    if spec.decoder == "ssd-postprocess" and "num_classes" in model.ssd_options:
        # The operator's outputs hold boxes, not classes: how many there are only its options tell.
        _compare_labels(spec, int(model.ssd_options["num_classes"]))
    return spec


def _said(overrides: Overrides) -> dict[str, Any]:
    names = ("task", "decoder", "color", "resize", "outputs", "options")
    said = {name: value for name in names if (value := getattr(overrides, name))}
    if overrides.labels is not None:
        said["labels"] = labels.read(overrides.labels)
    if overrides.mean_std is not None:
        said["mean"], said["std"] = overrides.mean_std
    return said


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors from inside a file get the file's name."""
    try:
        yield
    except ModelError as error:
        raise type(error)(f"{path}: {error.message}", error.remedy) from error


def find_output(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int | None:
    """Index of the output that plays a role, by the name or the decimal index the contract gives.

    Returns:
        None if the contract does not name the role.

    Raises:
        ContractError: it names an output that the model has not.
    """
    wanted = spec.outputs.get(role)
    if wanted is None:
        return None
    names = [info.name for info in outputs]
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise ContractError(
        f"{spec.name}: output {wanted!r} for role {role!r} is not in the model",
        f"add --output {role}=NAME with one of {', '.join(names)}, or an index below {len(names)}",
    )


def check(spec: ModelSpec, input: TensorInfo, outputs: Sequence[TensorInfo]) -> None:
    """Hold the contract against the tensors that the interpreter reports.

    Raises:
        ContractError: the input is no picture of the contract's colours, a role names no output, or a
            classifier has another number of outputs than labels.
    """
    check_input(spec, input)
    for role in spec.outputs:
        find_output(spec, outputs, role)
    if spec.decoder == "classify":
        _check_classes(spec, outputs)


def check_input(spec: ModelSpec, input: TensorInfo) -> None:
    """Hold the contract against the image input alone.

    Raises:
        ContractError: the input is no single picture, channels last, of the contract's colours.
    """
    shape = "x".join(map(str, input.shape))
    if len(input.shape) != 4 or input.shape[0] != 1 or input.shape[3] not in (1, 3) or min(input.shape) < 1:
        nchw = len(input.shape) == 4 and input.shape[1] in (1, 3)
        raise ContractError(
            f"{spec.name}: input {input.name!r} is {shape}, expected 1 x height x width x 1 or 3",
            "convert it with channels last" if nchw else "convert it to take one picture",
        )
    if input.dtype.name not in ("uint8", "int8", "int16", "float16", "float32"):
        raise ContractError(
            f"{spec.name}: input {input.name!r} is of type {input.dtype.name}",
            "convert the model with uint8, int8 or float32 input",
        )
    channels = 1 if spec.color == "gray" else 3
    if input.shape[3] != channels:
        right = "gray" if input.shape[3] == 1 else "rgb"
        raise ContractError(
            f"{spec.name}: input {shape} has not the {channels} channels of colour {spec.color!r}",
            f"add --color {right}",
        )
    for name, values in (("mean", spec.mean), ("std", spec.std)):
        if len(values) not in (1, channels):
            raise ContractError(
                f"{spec.name}: {len(values)} values of {name} for {channels} channels", "correct --normalize"
            )


def _check_classes(spec: ModelSpec, outputs: Sequence[TensorInfo]) -> None:
    index = find_output(spec, outputs, "scores")
    if not spec.labels or (index is None and len(outputs) != 1):
        return
    shape = outputs[index or 0].shape
    _compare_labels(spec, shape[-1] if shape else 0)


def _compare_labels(spec: ModelSpec, classes: int) -> None:
    offset = spec.options.get("label_offset", 0)
    classes += offset if isinstance(offset, int) else 0
    named = len(spec.labels)
    if not named or classes == named:
        return
    remedy = "name the labels the model was trained with by --labels FILE"
    if classes == named + 1:
        remedy = "if its class 0 is the background, put a first line 'background' into the labels file"
    elif classes == named - 1:
        remedy = "if the first label is 'background', the model has no such class: take that line out"
    raise ContractError(f"{spec.name}: the model has {classes} classes, the labels name {named}", remedy)
