"""BlazeFace and its kin: faces with six keypoints, from anchors that are points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.heads.anchors import check_count
from edgecam.heads.nms import nms, weighted_nms
from edgecam.heads.options import choice, integer, limits, number, numbers
from edgecam.heads.scores import Scores
from edgecam.heads.support import check_labels, check_shape, need_output, to_detections
from edgecam.quant import dequantize
from edgecam.types import Array, Detections, Floats, Geometry, HeadOptions, TensorInfo

_OWN_NAMES = {"boxes": "regressors", "scores": "classificators"}


class BlazeFaceHead:
    """Offsets from anchor points, in input pixels, and one logit an anchor, to faces.

    Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.

    Roles of the outputs: ``boxes`` (1, N, 4 + 2K) as centre x, centre y, width, height, then x y of each
    keypoint; ``scores`` (1, N, 1), logits. Without roles they are found by the names that the published
    models give them, ``regressors`` and ``classificators``.

    Options of the contract; the defaults are those of the short range model (128x128, 896 anchors):
        strides: cell size in input pixels of each anchor layer (default [8, 16, 16, 16]; full range: [4]).
        anchors_per_cell: of one layer (default 2; full range: 1).
        keypoints: K (default 6: the person's right eye, left eye, nose, mouth, right ear, left ear).
        nms: ``weighted`` (default: a face is the mean of the boxes over it) or ``plain``.
        score_clip: logits are clipped to plus and minus this (default 100).
        threshold: default 0.5.
        iou: default 0.3.
        top_k: default 100.

    There is one class, 0; ``labels`` are empty or one (``face``).
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._limits = limits(spec, options, threshold=0.5, top_k=100, iou=0.3)
        self.threshold = self._limits.shown
        self._points = integer(spec.options, "keypoints", 6, 0, 1000)
        self._weighted = choice(spec.options, "nms", ("weighted", "plain"), "weighted") == "weighted"
        self._anchors = _anchors(spec, input)
        self._boxes, self._scores = (_role(spec, outputs, role) for role in ("boxes", "scores"))
        self._box_info = outputs[self._boxes]
        n = len(self._anchors)
        remedy = f"the options strides and anchors_per_cell make {n} anchors for this input: correct them"
        check_shape(spec, self._box_info, "boxes", (1, n, 4 + 2 * self._points), remedy)
        check_shape(spec, outputs[self._scores], "scores", (1, n, 1), remedy)
        check_labels(spec, 1)
        self._probability = Scores(
            outputs[self._scores],
            "sigmoid",
            self._limits.threshold,
            number(spec.options, "score_clip", 100, 1),
        )

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Detections:
        raw = arrays[self._scores].reshape(-1)
        index = np.flatnonzero(self._probability.reach(raw))
        index, _, score = self._probability.final(index, index, raw[index])
        raw_boxes = arrays[self._boxes][0, index]
        pairs = dequantize(raw_boxes, self._box_info).reshape(len(index), 2 + self._points, 2)
        anchors = self._anchors[index]
        centre, half = pairs[:, 0] + anchors, pairs[:, 1] / 2
        points = (pairs[:, 2:] + anchors[:, None]).reshape(len(index), 2 * self._points)
        values = np.concatenate([centre - half, centre + half, points], axis=1)
        if self._weighted:
            values, score = weighted_nms(values, score, self._limits.iou, self._limits.top_k)
        else:
            kept = nms(values[:, :4], score, None, self._limits.iou, self._limits.top_k)
            values, score = values[kept], score[kept]
        keypoints = values[:, 4:].reshape(len(values), self._points, 2)
        class_id = np.zeros(len(score), np.int32)
        return to_detections(values[:, :4], score, class_id, geometry, self._limits.top_k, keypoints)


def _role(spec: ModelSpec, outputs: Sequence[TensorInfo], role: str) -> int:
    names = [info.name for info in outputs]
    if role not in spec.outputs and _OWN_NAMES[role] in names:
        return names.index(_OWN_NAMES[role])
    return need_output(spec, outputs, role)


def _anchors(spec: ModelSpec, input: TensorInfo) -> Floats:
    """Anchor points (N, 2) in input pixels: the middle of each cell, layers of one stride interleaved."""
    strides = [float(s) for s in numbers(spec.options, "strides", (8, 16, 16, 16)).reshape(-1)]
    each = integer(spec.options, "anchors_per_cell", 2, 1, 1000)
    _, height, width, _ = input.shape
    layers: list[Floats] = []
    # Neighbouring layers of one stride share a grid: their anchors lie cell by cell.
    for at, stride in enumerate(strides):
        if stride < 1:
            raise ContractError(f"option strides has {stride:g}", "give cell sizes in input pixels")
        if at and strides[at - 1] == stride:
            continue
        run = 1
        while at + run < len(strides) and strides[at + run] == stride:
            run += 1
        rows, columns = int(height // stride), int(width // stride)
        check_count(rows * columns * run * each)
        y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1)
        grid = np.stack([(x + 0.5) * width / columns, (y + 0.5) * height / rows], axis=1)
        layers.append(np.repeat(grid, run * each, axis=0).astype(np.float32))
    return np.concatenate(layers)
