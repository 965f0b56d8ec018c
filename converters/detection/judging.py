"""A detector judged by validation pictures, as ``evaluate`` judges the finished file. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from converters import average_precision
from converters.detection import matching
from converters.detection.feed import BoxPictures
from converters.detector import PostProcess
from edgecam.contract import ModelSpec
from edgecam.heads.ssd import SsdAnchorsHead
from edgecam.types import Array, Detections, Floats, HeadOptions, TensorInfo

Judge = Callable[[Any], Mapping[str, Any]]
_BATCH = 32


class Decoder:
    """What :class:`edgecam.heads.ssd.SsdAnchorsHead` makes of the network's outputs.

    Args:
        anchors: the decoder's option.
        shape: (height, width, channels) of the input.
        count: anchors.
        names: of the classes.
        threshold: least score.
    """

    def __init__(
        self,
        anchors: Mapping[str, Any],
        shape: tuple[int, int, int],
        count: int,
        names: Sequence[str],
        threshold: float,
    ) -> None:
        options = {
            "anchors": dict(anchors),
            "box_scales": list(matching.SCALES),
            "background": False,
            "activation": "sigmoid",
            "class_agnostic": True,  # as the op that goes behind the network
            "iou": PostProcess.iou_threshold,
        }
        roles = {"boxes": "0", "scores": "1"}
        spec = ModelSpec("detector", "detect", "ssd-anchors", tuple(names), outputs=roles, options=options)
        kind = np.dtype(np.float32)
        outputs = (
            TensorInfo("boxes", (1, count, 4), kind),
            TensorInfo("scores", (1, count, len(names)), kind),
        )
        image = TensorInfo("image", (1, *shape), np.dtype(np.uint8))
        self._head = SsdAnchorsHead(spec, image, outputs, HeadOptions(threshold=threshold))

    def __call__(self, boxes: Floats, scores: Floats, geometry: Any) -> Detections:
        """Of one picture: codes (N, 4) and logits (N, C)."""
        return self._head.decode([boxes[None], scores[None]], geometry)


def judge(pictures: BoxPictures, decoder: Decoder, names: Sequence[str]) -> Judge:
    """Judges by ``ap50``, which is also ``score``; with ``worst`` (class), ``worst_ap50`` and ``ap50s`` (of
    each class, None where no picture shows it)."""
    truth = [sample.truth for sample in pictures.samples if sample.truth is not None]

    def ask(model: Any) -> dict[str, Any]:
        found = detections(model, pictures, decoder)
        each = average_precision.per_class(found, truth)
        score = float(np.mean(list(each.values()))) if each else 0.0
        worst = min(each, key=lambda class_id: each[class_id], default=0)
        return {
            "score": score,
            "ap50": score,
            "worst": names[worst],
            "worst_ap50": each.get(worst, 0.0),
            "ap50s": [each.get(class_id) for class_id in range(len(names))],
        }

    return ask


def detections(model: Any, pictures: BoxPictures, decoder: Decoder) -> list[Detections]:
    """What a network finds in each picture, in the picture's own pixels."""
    out = []
    for first in range(0, len(pictures), _BATCH):
        rows: Array = np.arange(first, min(first + _BATCH, len(pictures)))
        x = pictures.pictures.take(rows).astype(np.float32)
        boxes, scores = (np.asarray(part, np.float32) for part in model.predict_on_batch(x))
        for row, codes, logits in zip(rows, boxes, scores, strict=True):
            out.append(decoder(codes, logits, pictures.pictures.geometry(int(row))))
    return out
