"""SSD detectors, with the op ``TFLite_Detection_PostProcess`` in the graph or with raw outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.heads.options import integer, limits
from edgecam.heads.support import check_shape, find_output, to_detections
from edgecam.quant import dequantize
from edgecam.types import Array, Detections, Geometry, HeadOptions, TensorInfo

ROLES = ("boxes", "classes", "scores", "count")

# Rank of the outputs, in the two orders that exporters are known to write: TensorFlow 1 keeps the order of
# the op, TensorFlow 2 sorts by the signature's names (scores, boxes, count, classes).
_KNOWN_ORDERS: dict[tuple[int, ...], tuple[int, ...]] = {
    (3, 2, 2, 1): (0, 1, 2, 3),
    (2, 3, 1, 2): (1, 3, 0, 2),
}


class SsdPostprocessHead:
    """The four outputs of ``TFLite_Detection_PostProcess`` to detections.

    Roles of the outputs: ``boxes`` (1, N, 4) as ymin xmin ymax xmax relative to the input, ``classes``
    (1, N), ``scores`` (1, N), ``count`` (1). Without any role the outputs must be in the order in which
    TensorFlow 1 or 2 exports the op. What lies beyond ``count`` is garbage and never looked at.

    Options of the contract:
        threshold: default 0.5. The op has dropped what lies under its own threshold already.
        top_k: default 100.
        label_offset: class id minus the op's class (default 0).

    NMS is done by the op with its own overlap; ``iou`` changes nothing.
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._limits = limits(spec, options, threshold=0.5, top_k=100)
        self._offset = integer(spec.options, "label_offset", 0)
        self._roles = _roles(spec, outputs)
        self._infos = [outputs[i] for i in self._roles]
        n = self._infos[0].shape[1] if len(self._infos[0].shape) == 3 else None
        remedy = "correct the roles in the contract's outputs"
        for role, info, shape in zip(ROLES, self._infos, ((1, n, 4), (1, n), (1, n), (1,)), strict=True):
            check_shape(spec, info, role, shape, remedy)
        _, height, width, _ = input.shape
        self._to_pixels = np.array([width, height, width, height], np.float32)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Detections:
        boxes, classes, scores, count = (
            dequantize(arrays[i], info)[0] for i, info in zip(self._roles, self._infos, strict=True)
        )
        n = min(max(int(count), 0), len(scores))
        class_id = classes[:n].astype(np.int32) + np.int32(self._offset)
        found = (scores[:n] >= np.float32(self._limits.threshold)) & (class_id >= 0)
        if self._limits.classes is not None:
            found &= np.isin(class_id, self._limits.classes)
        index = np.flatnonzero(found)
        xyxy = boxes[index][:, [1, 0, 3, 2]] * self._to_pixels
        return to_detections(
            xyxy, np.clip(scores[index], 0, 1), class_id[index], geometry, self._limits.top_k
        )


def _roles(spec: ModelSpec, outputs: Sequence[TensorInfo]) -> tuple[int, ...]:
    if not spec.outputs:
        order = _KNOWN_ORDERS.get(tuple(len(info.shape) for info in outputs))
        if order is not None:
            return order
        raise ContractError(
            f"{spec.name}: {len(outputs)} outputs that are not those of TFLite_Detection_PostProcess",
            f"name the outputs {', '.join(ROLES)} in the contract, or use another decoder",
        )
    return tuple(find_output(spec, outputs, role) for role in ROLES)
