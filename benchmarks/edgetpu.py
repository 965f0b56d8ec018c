"""What a Coral Edge TPU would give, on paper: Coral's published times and what edgecam needs besides.

    python benchmarks/edgetpu.py [--frames 300] [--out FOLDER]

Coral publishes the time of one inference (https://coral.ai/docs/edgetpu/benchmarks, in C++, on a desktop with
the stick, and on the Dev Board, which is PCIe). Here everything else that a frame costs is measured: decoding
a 1280x720 JPEG as far as the model needs it, resizing, quantising, the way into the other process and back,
the head. One frame after another gives 1 / (rest + inference). Decoding the next frame meanwhile, as is done
with files, gives 1 / max(decoding, the rest of it + inference).

Who has a board checks one number: `edgecam bench MODEL_edgetpu.tflite` there tells `invoke`, and
`edgecam run` the rate.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import plot
import report
from camera import photographs

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
SIZE = (1280, 720)
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


def measure(frames: int) -> dict[str, Any]:
    films = photographs(SIZE)
    found = {name: asdict(cost(side, task, frames, films)) for name, (side, task, *_) in PUBLISHED.items()}
    return {"costs_ms": found}


def rates(found: dict[str, float], inference: float) -> tuple[float, float]:
    """Frames a second (one after another, decoded ahead) with an inference of so many milliseconds."""
    decode, rest = found["decode"], Cost(**found).rest
    return 1000 / (decode + rest + inference), 1000 / max(decode, rest + inference)


def table(figures: dict[str, Any]) -> str:
    columns = ("model", "decode ms", "rest ms", "USB 3, ms", "frames/s", "decoded ahead", "Dev Board, ms")
    rows = []
    for name, (_, _, usb, board) in PUBLISHED.items():
        found = figures["costs_ms"][name]
        cells = [f"{found['decode']:.2f}", f"{Cost(**found).rest:.2f}"]
        for inference in (usb, board):
            serial, ahead = rates(found, inference)
            cells += [f"{inference:g}", f"{serial:.0f}", f"{ahead:.0f}"]
        rows.append([name, *cells])
    return report.markdown([*columns, "frames/s", "decoded ahead"], rows)


def draw(figures: dict[str, Any]) -> str:
    groups = {}
    for name, (_, _, usb, _) in PUBLISHED.items():
        serial, ahead = rates(figures["costs_ms"][name], usb)
        groups[name] = {"one after another": serial, "decoded ahead": ahead, "the chip alone": 1000 / usb}
    return plot.bars("An Edge TPU on USB 3, on paper: frames a second", groups, digits=0)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    report.run("edgetpu", options, lambda: measure(options.frames), table, draw)


if __name__ == "__main__":
    main()
