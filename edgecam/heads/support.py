"""What heads have in common: output roles, checks of the contract against the tensors, the final cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam.contract import ModelSpec, find_output
from edgecam.errors import ContractError
from edgecam.types import Array, Detections, Floats, Geometry, TensorInfo


def need_output(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int:
    """The index of the output that the contract gives this role.

    Raises:
        ContractError: the role is not assigned, or to an output that the model has not.
    """
    index = find_output(spec, outputs, role)
    if index is None:
        known = ", ".join(f"{i} ({info.name})" for i, info in enumerate(outputs))
        raise ContractError(
            f"{spec.name}: no output has the role {role!r}", f"add --output {role}= with one of {known}"
        )
    return index


def only_output(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int:
    """As :func:`need_output`, but a model's only output needs no role."""
    return 0 if len(outputs) == 1 and role not in spec.outputs else need_output(spec, outputs, role)


def check_shape(
    spec: ModelSpec, info: TensorInfo, role: str, wanted: tuple[int | None, ...], remedy: str
) -> None:
    """
    Raises:
        ContractError: the output has another shape; None stands for any size.
    """
    fits = len(wanted) == len(info.shape) and all(
        w is None or w == n for w, n in zip(wanted, info.shape, strict=True)
    )
    if not fits:
        text = ", ".join("N" if n is None else str(n) for n in wanted)
        raise ContractError(
            f"{spec.name}: {role} output {info.name!r} has shape {list(info.shape)}, expected [{text}]",
            remedy,
        )


def check_labels(spec: ModelSpec, classes: int) -> None:
    """
    Raises:
        ContractError: the model has labels, but not one for each class.
    """
    if spec.labels and len(spec.labels) != classes:
        raise ContractError(
            f"{spec.name}: {len(spec.labels)} labels for {classes} classes",
            "correct labels.txt (one line a class), or the option label_offset",
        )


def to_detections(
    xyxy: Floats,
    score: Floats,
    class_id: Array,
    geometry: Geometry,
    top_k: int,
    keypoints: Floats | None = None,
) -> Detections:
    """Boxes (N, 4) and keypoints (N, K, 2) in input pixels to results in frame pixels, best first.

    A box that is empty inside the frame (it lay in the letterbox's border) is dropped.
    """
    boxes = geometry.to_frame(xyxy)
    index = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    index = index[np.argsort(-score[index], kind="stable")[:top_k]]
    return Detections(
        boxes[index],
        score[index],
        class_id[index].astype(np.int32),
        None if keypoints is None else geometry.to_frame(keypoints[index]),
    )
