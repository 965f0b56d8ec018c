"""What preprocessing and the heads cost, in microseconds of one thread.

    python benchmarks/heads.py

Outputs are made up: mostly background, some twenty boxes over each of five objects, which is what a detector
gives for a busy street. Every figure is the median of many calls.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from edgecam import jpeg, registry
from edgecam.contract import ModelSpec
from edgecam.heads.anchors import make_anchors
from edgecam.preprocess import Preprocessor
from edgecam.quant import quantize
from edgecam.types import Array, Frame, Geometry, HeadOptions, TensorInfo

RNG = np.random.default_rng(0)


def microseconds(call: Callable[[], object], seconds: float = 0.3) -> float:
    call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def info(shape: tuple[int, ...], dtype: str, scale: float = 0.0, zero_point: int = 0) -> TensorInfo:
    return TensorInfo("tensor", shape, np.dtype(dtype), scale if dtype != "float32" else 0.0, zero_point)


def preprocessing() -> Iterator[tuple[str, float]]:
    picture = cv2.GaussianBlur(RNG.integers(0, 256, (720, 1280, 3), np.uint8), (9, 9), 3)
    data = jpeg.encode(np.ascontiguousarray(picture))
    frames = {
        "pixels": Frame(0, picture),
        "JPEG": Frame(0, jpeg=data, size=(1280, 720), decode=jpeg.decode),
    }
    yield "decode the whole JPEG", microseconds(lambda: jpeg.decode(data))
    for name, frame in frames.items():
        for side, dtype, resize in (
            (300, "uint8", "stretch"),
            (224, "uint8", "crop"),
            (320, "int8", "letterbox"),
            (320, "float32", "letterbox"),
            (640, "int8", "letterbox"),
        ):
            spec = ModelSpec("x", "detect", "yolov8", resize=resize, std=(255.0,))  # type: ignore[arg-type]
            scale, zero = (1 / 255, 0) if dtype == "uint8" else (1 / 255, -128)
            preprocess = Preprocessor(spec, info((1, side, side, 3), dtype, scale, zero))
            label = f"1280x720 {name} to {side}x{side} {dtype}, {resize}"
            yield label, microseconds(lambda p=preprocess, f=frame: p(f))  # type: ignore[misc]


def crowd(n: int, side: int) -> tuple[Any, Any, Any]:
    """Rows with something on them, their boxes (cx cy w h, pixels) and scores."""
    rows = RNG.choice(n, 100, replace=False)
    objects = np.concatenate([RNG.uniform(60, side - 60, (5, 2)), RNG.uniform(40, 120, (5, 2))], axis=1)
    return rows, np.repeat(objects, 20, axis=0) + RNG.normal(0, 4, (100, 4)), RNG.uniform(0.4, 0.95, 100)


def yolo(decoder: str, side: int, n: int, dtype: str) -> tuple[ModelSpec, list[TensorInfo], list[Array]]:
    lead = 5 if decoder == "yolov5" else 4
    real = np.zeros((n, lead + 80), np.float32)
    rows, boxes, scores = crowd(n, side)
    real[:, 4:] = RNG.uniform(0, 0.02, (n, lead + 76))
    real[rows, :4] = boxes / side
    real[rows, 4 : lead + 1] = 0.99
    real[rows, lead] = scores
    array = real[None] if decoder == "yolov5" else np.ascontiguousarray(real.T)[None]
    tensor = info(array.shape, dtype, 1 / 200, -100)
    return ModelSpec(decoder, "detect", decoder), [tensor], [quantize(array, tensor)]


def ssd(anchors: dict[str, Any], side: int, classes: int, dtype: str) -> Any:
    n = len(make_anchors(anchors, side, side))
    boxes, scores = np.zeros((1, n, 4), np.float32), RNG.uniform(0, 0.02, (1, n, classes)).astype(np.float32)
    rows = np.sort(RNG.integers(0, n - 20, 5))[:, None] + np.arange(20)
    scores[0, rows.reshape(-1), 3] = RNG.uniform(0.5, 0.95, 100)
    infos = [info(boxes.shape, dtype, 0.08, 0), info(scores.shape, dtype, 1 / 256, -128)]
    options = {"anchors": anchors, "background": classes == 91}
    spec = ModelSpec("ssd", "detect", "ssd-anchors", outputs={"boxes": "0", "scores": "1"}, options=options)
    return spec, infos, [quantize(a, i) for a, i in zip((boxes, scores), infos, strict=True)]


def cases() -> Iterator[tuple[str, int, ModelSpec, list[TensorInfo], list[Array]]]:
    scores = info((1, 1001), "uint8", 1 / 256)
    array = RNG.integers(0, 5, (1, 1001)).astype(np.uint8)
    array[0, [7, 285, 900]] = 150, 60, 30
    yield "classify, 1001 classes uint8", 224, ModelSpec("c", "classify", "classify"), [scores], [array]
    shapes = ((1, 20, 4), (1, 20), (1, 20), (1,))
    arrays = [np.sort(RNG.uniform(0.1, 0.9, s).astype(np.float32), axis=-1) for s in shapes]
    arrays[3][:] = 20
    spec = ModelSpec("s", "detect", "ssd-postprocess")
    yield "ssd-postprocess, 20 boxes", 300, spec, [info(s, "float32") for s in shapes], arrays
    lite = {"kind": "efficientdet", "anchor_scale": 3}
    for dtype in ("int8", "float32"):
        yield f"ssd-anchors, 1917 x 91 {dtype}", 300, *ssd({"kind": "ssd"}, 300, 91, dtype)
        yield f"ssd-anchors, EfficientDet-Lite0 19206 x 90 {dtype}", 320, *ssd(lite, 320, 90, dtype)
        for side, n in ((224, 1029), (640, 8400)):
            yield f"yolov8, {side}: 84 x {n} {dtype}", side, *yolo("yolov8", side, n, dtype)
        yield f"yolov5, 640: 25200 x 85 {dtype}", 640, *yolo("yolov5", 640, 25200, dtype)
    boxes, logits = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -5, np.float32)
    boxes[0, :, :4], logits[0, 300:312] = (0, 0, 40, 40), 3
    outputs = [info(boxes.shape, "float32"), info(logits.shape, "float32")]
    spec = ModelSpec("f", "detect", "blazeface", outputs={"boxes": "0", "scores": "1"})
    yield "blazeface, 896 anchors", 128, spec, outputs, [boxes, logits]


def main() -> None:
    cv2.setNumThreads(1)
    for label, cost in preprocessing():
        print(f"{label:60} {cost:8.0f} us", flush=True)
    for label, side, spec, outputs, arrays in cases():
        make = registry.load(registry.HEADS, "decoder", spec.decoder)
        head = make(spec, info((1, side, side, 3), "uint8", 1.0), outputs, HeadOptions(threshold=0.3))
        geometry = Geometry((1280, 720), (side, side), (side / 1280, side / 720), (0.0, 0.0))
        found = len(head.decode(arrays, geometry))
        cost = microseconds(lambda h=head, a=arrays, g=geometry: h.decode(a, g))  # type: ignore[misc]
        print(f"{label:60} {cost:8.0f} us   {found} found", flush=True)


if __name__ == "__main__":
    main()
