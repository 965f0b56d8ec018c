"""What MediaPipe Tasks says of pictures. Runs in an environment of its own, without anything of this project.

Standard input: ``{"task": "detect", "model": ..., "threshold": ..., "pictures": [...]}``; the last line of
standard output: for each picture a list of ``[label, score, x1, y1, x2, y2]`` or ``[label, score]``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions
from PIL import Image


def load(path: str) -> Any:
    pixels = np.ascontiguousarray(np.asarray(Image.open(path).convert("RGB")))
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels)


def name(category: Any) -> str:
    return category.category_name or str(category.index)


def detect(request: dict[str, Any]) -> list[Any]:
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=request["model"]), score_threshold=request["threshold"]
    )
    found = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        for path in request["pictures"]:
            rows = []
            for entry in detector.detect(load(path)).detections:
                box, best = entry.bounding_box, entry.categories[0]
                corners = [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height]
                rows.append([name(best), best.score, *corners])
            found.append(rows)
    return found


def classify(request: dict[str, Any]) -> list[Any]:
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=request["model"]))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        return [
            [
                [name(entry), entry.score]
                for entry in classifier.classify(load(path)).classifications[0].categories
                if entry.score >= request["threshold"]
            ]
            for path in request["pictures"]
        ]


request = json.load(sys.stdin)
answer = {"detect": detect, "classify": classify}[request["task"]](request)
print(json.dumps(answer))
