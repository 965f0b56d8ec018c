"""What a Coral Edge TPU would give, on paper: Coral's published times and what edgecam needs besides.

    python benchmarks/edgetpu.py [--frames 300]

Coral publishes the time of one inference (https://coral.ai/docs/edgetpu/benchmarks, in C++, on a desktop with
the stick, and on the Dev Board, which is PCIe). Here everything else that a frame costs is measured: decoding
a 1280x720 JPEG as far as the model needs it, resizing, quantising, the way into the other process and back,
the head. One frame after another gives 1 / (rest + inference). Decoding the next frame meanwhile, as is done
with files, gives 1 / max(decoding, the rest of it + inference).

Who has a board checks one number: `edgecam bench MODEL_edgetpu.tflite` there tells `invoke`, and
`edgecam run` the rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
from efficiency import SIZE, pictures

from edgecam import mjpeg
from edgecam.contract import ModelSpec
from edgecam.heads.classify import ClassifyHead
from edgecam.heads.ssd import SsdPostprocessHead
from edgecam.preprocess import Preprocessor
from edgecam.types import Frame, HeadOptions, TensorInfo

#: model -> (input side, task, ms on USB 3 with a desktop, ms on the Dev Board), as Coral publishes them
PUBLISHED = {
    "MobileNet v1 224": (224, "classify", 2.4, 2.4),
    "MobileNet v2 224": (224, "classify", 2.6, 2.6),
    "MobileNet v1 SSD 224": (224, "detect", 6.5, 11.0),
    "MobileNet v2 SSD 224": (224, "detect", 7.2, 14.0),
    "Inception v1 224": (224, "classify", 3.4, 4.1),
    "EfficientNet-EdgeTpu-S 224": (224, "classify", 5.1, 5.5),
}
APART_MS = 0.2  # two messages and two copies; see docs/coral.md


@dataclass(frozen=True)
class Cost:
    """Milliseconds a frame, medians."""

    decode: float
    prepare: float
    head: float

    @property
    def rest(self) -> float:
        return self.prepare + self.head + APART_MS


def cost(side: int, task: str, frames: int, films: list[bytes]) -> Cost:
    image = TensorInfo("image", (1, side, side, 3), np.dtype(np.uint8), 1 / 128, 128)
    spec = ModelSpec("paper", "classify" if task == "classify" else "detect", "classify")
    preprocessor = Preprocessor(spec, image)
    if task == "classify":
        outputs = [TensorInfo("scores", (1, 1001), np.dtype(np.uint8), 1 / 256, 0)]
        head = ClassifyHead(spec, image, outputs, HeadOptions())
    else:
        shapes = {"boxes": (1, 20, 4), "classes": (1, 20), "scores": (1, 20), "count": (1,)}
        outputs = [TensorInfo(name, shape, np.dtype(np.float32)) for name, shape in shapes.items()]
        roles = {name: name for name in shapes}
        spec = ModelSpec("paper", "detect", "ssd-postprocess", outputs=roles)
        head = SsdPostprocessHead(spec, image, outputs, HeadOptions())
    arrays = [np.zeros(info.shape, info.dtype) for info in outputs]
    times: list[tuple[float, float, float]] = []
    for number in range(frames):
        frame = Frame(number, jpeg=films[number % len(films)], size=SIZE, decode=mjpeg.decode)
        began = time.perf_counter()
        frame.prepare(*preprocessor.need(SIZE))
        decoded = time.perf_counter()
        _, geometry = preprocessor(frame)
        ready = time.perf_counter()
        head.decode(arrays, geometry)
        times.append((decoded - began, ready - decoded, time.perf_counter() - ready))
    return Cost(*(statistics.median(column) * 1000 for column in zip(*times, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    films = pictures()
    columns = (
        "decode ms",
        "rest ms",
        "USB 3, ms",
        "frames/s",
        "decoded ahead",
        "Dev Board, ms",
        "frames/s",
        "decoded ahead",
    )
    print(f"| model | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for name, (side, task, usb, board) in PUBLISHED.items():
        found = cost(side, task, options.frames, films)
        cells = [f"{found.decode:.2f}", f"{found.rest:.2f}"]
        for inference in (usb, board):
            serial = 1000 / (found.decode + found.rest + inference)
            ahead = 1000 / max(found.decode, found.rest + inference)
            cells += [f"{inference:g}", f"{serial:.0f}", f"{ahead:.0f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
