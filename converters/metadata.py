"""The standard ``TFLITE_METADATA`` FlatBuffer, from a model's contract.

Read by MediaPipe Tasks, Android Studio and others. Tables and slots are those of ``metadata_schema.fbs``
1.5.0; names and units of outputs are those that MediaPipe's own object detector and image classifier look
for.
"""

from __future__ import annotations

from collections.abc import Sequence

from converters.flatbuffer import Node, Numbers, Refs, Scalar, Table, serialize
from edgecam.contract import ModelSpec

IDENTIFIER = b"M001"
LABELS = "labels.txt"

_AXIS_LABELS, _VALUE_LABELS = 2, 3
_FEATURE, _IMAGE, _BOX = 1, 2, 3
_SPACES = {"rgb": 1, "bgr": 0, "gray": 2}  # the schema knows no BGR: UNKNOWN


def build(spec: ModelSpec, outputs: Sequence[str]) -> bytes:
    """The metadata of a model.

    Args:
        spec: the contract.
        outputs: the role of each output, in the order of the file: for ``ssd-postprocess`` boxes, classes,
            scores and count; for ``classify`` scores. Others are only named.
    """
    roles = [_output(role, spec) for role in outputs]
    subgraph: dict[int, Scalar | Node] = {2: Refs([_input(spec)]), 3: Refs(roles)}
    if spec.decoder == "ssd-postprocess":
        subgraph[8] = Refs([Table({0: "detection_result", 1: Refs(["location", "category", "score"])})])
    root: dict[int, Scalar | Node] = {
        0: spec.name,
        1: spec.description,
        2: spec.version,
        3: Refs([Table(subgraph)]),
        5: spec.licence,
        7: "1.2.0",  # tensor groups came with it; nothing later is used
    }
    return serialize(Table(root), IDENTIFIER)


def _input(spec: ModelSpec) -> Table:
    lowest = [(0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    highest = [(255 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    normalization = Table({0: Numbers("f", spec.mean), 1: Numbers("f", spec.std)})
    return Table(
        {
            0: "image",
            1: "The picture to look at.",
            3: _content(_IMAGE, Table({0: Scalar("b", _SPACES[spec.color])})),
            4: Refs([Table({0: Scalar("B", 1), 1: normalization})]),
            5: Table({0: Numbers("f", highest), 1: Numbers("f", lowest)}),
        }
    )


def _output(role: str, spec: ModelSpec) -> Table:
    if spec.decoder == "ssd-postprocess" and role in _DETECTION:
        return _DETECTION[role]
    if spec.task == "classify":
        probability = Table({0: Numbers("f", [1.0]), 1: Numbers("f", [0.0])})
        return _tensor("probability", "Probability of each label.", labels=_AXIS_LABELS, stats=probability)
    return _tensor(role, f"Output {role!r} of the decoder {spec.decoder}.")


def _tensor(
    name: str, description: str, content: Table | None = None, labels: int = 0, stats: Table | None = None
) -> Table:
    slots: dict[int, Scalar | Node] = {0: name, 1: description, 3: content or _content(_FEATURE, Table({}))}
    if stats:
        slots[5] = stats
    if labels:
        slots[6] = Refs([Table({0: LABELS, 1: "Labels, one a line.", 2: Scalar("b", labels)})])
    return Table(slots)


def _content(kind: int, properties: Table, dimension: int | None = None) -> Table:
    slots: dict[int, Scalar | Node] = {0: Scalar("B", kind), 1: properties}
    if dimension is not None:  # the dimension that counts the detections
        slots[2] = Table({0: Scalar("i", dimension), 1: Scalar("i", dimension)})
    return Table(slots)


_DETECTION = {
    "boxes": _tensor(
        "location",
        "Boxes: top, left, bottom, right, relative to the picture.",
        # index: where left, top, right and bottom stand in a box; type: BOUNDARIES.
        _content(_BOX, Table({0: Numbers("I", [1, 0, 3, 2]), 1: Scalar("b", 1)}), 2),
    ),
    "classes": _tensor(
        "category", "Classes, as lines of the labels.", _content(_FEATURE, Table({}), 2), _VALUE_LABELS
    ),
    "scores": _tensor("score", "Scores, 0 to 1.", _content(_FEATURE, Table({}), 2)),
    "count": _tensor("number of detections", "How many rows of the other outputs hold a detection."),
}
