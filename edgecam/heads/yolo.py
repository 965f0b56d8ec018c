"""YOLO detectors as Ultralytics exports them: boxes and class scores in one output, without NMS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.heads.nms import nms
from edgecam.heads.options import flag, limits
from edgecam.heads.scores import Index, Scores, best_of_columns, best_of_rows
from edgecam.heads.support import check_shape, only_output, to_detections
from edgecam.quant import dequantize
from edgecam.types import Array, Detections, Floats, Geometry, HeadOptions, TensorInfo


class _YoloHead:
    """What the generations share: boxes as centre x, centre y, width, height, and the way to detections."""

    def __init__(
        self, spec: ModelSpec, input: TensorInfo, output: TensorInfo, options: HeadOptions, iou: float
    ) -> None:
        self._info = output
        self._limits = limits(spec, options, threshold=0.25, top_k=100, iou=iou)
        self.threshold = self._limits.shown
        _, height, width, _ = input.shape
        relative = flag(spec.options, "normalized", True)
        self._unit = np.array([width, height] if relative else [1, 1], np.float32)

    def _detections(self, boxes: Array, class_id: Index, score: Floats, geometry: Geometry) -> Detections:
        """From raw boxes (K, 4) of candidates."""
        if self._limits.classes is not None:
            wanted = np.isin(class_id, self._limits.classes)
            boxes, class_id, score = boxes[wanted], class_id[wanted], score[wanted]
        pairs = dequantize(boxes, self._info).reshape(-1, 2, 2) * self._unit
        centre, half = pairs[:, 0], pairs[:, 1] / 2
        xyxy = np.concatenate([centre - half, centre + half], axis=1)
        groups = None if self._limits.agnostic else class_id
        kept = nms(xyxy, score, groups, self._limits.iou, self._limits.top_k)
        return to_detections(
            xyxy[kept], np.clip(score[kept], 0, 1), class_id[kept], geometry, self._limits.top_k
        )


class YoloV8Head(_YoloHead):
    """YOLOv8, v9, 11 and 12: output (1, 4 + C, N), a score for each class and no objectness.

    Role of the output: ``output`` (not needed where there is only one).

    Options of the contract:
        normalized: boxes are relative to the input (default true, as Ultralytics writes TFLite files), else
            in input pixels.
        transposed: the output is (1, N, 4 + C) (default false).
        class_agnostic: boxes of different classes suppress each other too (default false).
        threshold: default 0.25.
        iou: default 0.7.
        top_k: default 100.
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._index = only_output(spec, outputs, "output")
        super().__init__(spec, input, outputs[self._index], options, iou=0.7)
        self._transposed = flag(spec.options, "transposed", False)
        rows = 4 + len(spec.labels) if spec.labels else None
        shape = (1, None, rows) if self._transposed else (1, rows, None)
        check_shape(
            spec,
            self._info,
            "output",
            shape,
            "4 + labels x boxes: correct labels.txt, or the options transposed and decoder",
        )
        if self._info.shape[2 if self._transposed else 1] < 5:
            raise ContractError(
                f"{spec.name}: output {self._info.name!r} of shape {self._info.shape} has no classes"
            )
        self._scores = Scores(self._info, "none", self._limits.threshold)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Detections:
        raw = arrays[self._index][0]
        if self._transposed:
            index, class_id, score = best_of_rows(raw[:, 4:], self._scores)
            return self._detections(raw[index, :4], class_id, score, geometry)
        index, class_id, score = best_of_columns(raw[4:], self._scores)
        return self._detections(np.ascontiguousarray(raw[:4, index].T), class_id, score, geometry)


class YoloV5Head(_YoloHead):
    """YOLOv5: output (1, N, 5 + C); the score is objectness times the best class.

    Role of the output: ``output`` (not needed where there is only one).

    Options of the contract: ``normalized``, ``class_agnostic``, ``threshold`` and ``top_k`` as for
    :class:`YoloV8Head`; ``iou``, default 0.45.
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._index = only_output(spec, outputs, "output")
        super().__init__(spec, input, outputs[self._index], options, iou=0.45)
        columns = 5 + len(spec.labels) if spec.labels else None
        check_shape(
            spec,
            self._info,
            "output",
            (1, None, columns),
            "boxes x 5 + labels: correct labels.txt or decoder",
        )
        if self._info.shape[2] < 6:
            raise ContractError(
                f"{spec.name}: output {self._info.name!r} of shape {self._info.shape} has no classes"
            )
        self._scores = Scores(self._info, "none", self._limits.threshold)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Detections:
        raw = arrays[self._index][0]
        # No class score is above 1, so what objectness alone does not reach, the product does not either.
        index = np.flatnonzero(self._scores.reach(raw[:, 4]))
        rows = raw[index]
        class_id = rows[:, 5:].argmax(axis=1)
        best = rows[np.arange(len(rows)), 5 + class_id]
        score = self._scores(rows[:, 4]) * self._scores(best)
        passed = score >= np.float32(self._limits.threshold)
        return self._detections(rows[passed, :4], class_id[passed], score[passed], geometry)
