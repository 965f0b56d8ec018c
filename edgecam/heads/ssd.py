"""SSD detectors, with the op ``TFLite_Detection_PostProcess`` in the graph or with raw outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.heads.anchors import make_anchors
from edgecam.heads.nms import nms
from edgecam.heads.options import choice, flag, integer, limits, numbers
from edgecam.heads.scores import Scores, best_of_rows, refuse_scale, refuse_values, softmax
from edgecam.heads.support import check_labels, check_shape, need_output, to_detections
from edgecam.quant import dequantize
from edgecam.types import Array, Detections, Floats, Geometry, HeadOptions, TensorInfo

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
        self.threshold = self._limits.shown
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


class SsdAnchorsHead:
    """Raw SSD outputs to detections: box codes against anchors, and a score for each class.

    A box code is (ty, tx, th, tw) with centre = t / scale * anchor size + anchor centre and
    size = exp(t / scale) * anchor size (Faster R-CNN's box coder; Ren et al., 2015).

    Roles of the outputs: ``boxes`` (1, N, 4) and ``scores`` (1, N, C).

    Options of the contract:
        anchors: see :func:`edgecam.heads.anchors.make_anchors`.
        box_scales: [y, x, height, width], by which training multiplied the codes (default [10, 10, 5, 5], or
            [1, 1, 1, 1] for EfficientDet anchors).
        box_order: ``yxhw`` (default) or ``xywh``.
        background: the first score is that of the background (default true; false for EfficientDet anchors).
        activation: what is still to be done to the scores: ``none`` (default), ``sigmoid`` or ``softmax``.
        label_offset: class id minus score index, background not counted (default 0).
        class_agnostic: boxes of different classes suppress each other too (default false; true does what
            the op does in its fast mode).
        threshold: default 0.5.
        iou: default 0.6.
        top_k: default 100.
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._spec = spec
        self._limits = limits(spec, options, threshold=0.5, top_k=100, iou=0.6)
        self.threshold = self._limits.shown
        self._read_options(spec)
        _, height, width, _ = input.shape
        self._pixels = np.array([height, width], np.float32)
        self._anchors = make_anchors(spec.options.get("anchors"), width, height)
        self._boxes, self._scores = (need_output(spec, outputs, role) for role in ("boxes", "scores"))
        self._box_info, self._score_info = outputs[self._boxes], outputs[self._scores]
        n = len(self._anchors)
        remedy = f"the option anchors makes {n} anchors for this input: correct it"
        check_shape(spec, self._box_info, "boxes", (1, n, 4), remedy)
        check_shape(spec, self._score_info, "scores", (1, n, None), remedy)
        check_labels(spec, self._score_info.shape[2] - self._background + self._offset)
        if self._activation == "none":
            refuse_scale(spec, self._score_info)
        kind = "sigmoid" if self._activation == "sigmoid" else "none"
        # Softmax needs a whole row, so its probabilities are made first and are no longer quantised.
        info = (
            replace(self._score_info, dtype=np.dtype(np.float32))
            if self._activation == "softmax"
            else self._score_info
        )
        self._probability = Scores(info, kind, self._limits.threshold)
        self._unproven = self._activation == "none" and self._score_info.dtype.kind == "f"

    def _read_options(self, spec: ModelSpec) -> None:
        anchors = spec.options.get("anchors")
        efficient = isinstance(anchors, Mapping) and anchors.get("kind") == "efficientdet"
        self._scales = numbers(spec.options, "box_scales", (1, 1, 1, 1) if efficient else (10, 10, 5, 5))
        if self._scales.shape != (4,) or (self._scales <= 0).any():
            raise ContractError("option box_scales is not four numbers above 0", "write [10, 10, 5, 5]")
        self._order = choice(spec.options, "box_order", ("yxhw", "xywh"), "yxhw")
        self._background = int(flag(spec.options, "background", not efficient))
        self._activation = choice(spec.options, "activation", ("none", "sigmoid", "softmax"), "none")
        self._offset = integer(spec.options, "label_offset", 0)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Detections:
        """Errors: ContractError where the scores prove not to be probabilities."""
        raw = arrays[self._scores][0]
        if self._unproven:
            refuse_values(self._spec, self._score_info, raw)
            self._unproven = False  # logits would have shown on the first frame
        if self._activation == "softmax":
            raw = softmax(dequantize(raw, self._score_info))
        index, column, score = best_of_rows(raw[:, self._background :], self._probability)
        class_id = column + self._offset
        wanted = class_id >= 0
        if self._limits.classes is not None:
            wanted &= np.isin(class_id, self._limits.classes)
        index, class_id, score = index[wanted], class_id[wanted], score[wanted]
        xyxy = self._decode_boxes(arrays[self._boxes][0, index], self._anchors[index])
        groups = None if self._limits.agnostic else class_id
        kept = nms(xyxy, score, groups, self._limits.iou, self._limits.top_k)
        return to_detections(xyxy[kept], score[kept], class_id[kept], geometry, self._limits.top_k)

    def _decode_boxes(self, raw: Array, anchors: Floats) -> Floats:
        """Codes and anchors (K, 4) to xyxy in input pixels."""
        codes = dequantize(raw, self._box_info)
        if self._order == "xywh":
            codes = codes[:, [1, 0, 3, 2]]
        codes = codes / self._scales
        centre = codes[:, :2] * anchors[:, 2:] + anchors[:, :2]
        # A code from garbage would overflow; e^20 is far beyond any picture.
        half = np.exp(np.minimum(codes[:, 2:], 20)) * anchors[:, 2:] / 2
        yxyx = np.concatenate([(centre - half) * self._pixels, (centre + half) * self._pixels], axis=1)
        return yxyx[:, [1, 0, 3, 2]]


def _roles(spec: ModelSpec, outputs: Sequence[TensorInfo]) -> tuple[int, ...]:
    if not spec.outputs:
        order = _KNOWN_ORDERS.get(tuple(len(info.shape) for info in outputs))
        if order is not None:
            return order
        raise ContractError(
            f"{spec.name}: {len(outputs)} outputs that are not those of TFLite_Detection_PostProcess",
            f"name the outputs {', '.join(ROLES)} in the contract, or use another decoder",
        )
    return tuple(need_output(spec, outputs, role) for role in ROLES)
