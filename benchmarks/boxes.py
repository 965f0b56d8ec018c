"""What 1, 10 and 100 objects cost, from a network's raw outputs to the drawn picture (for ``scaling.py``)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from cost import cpu_ms, scene
from heads import info

from edgecam import jpeg, registry
from edgecam.analysis import Analysis
from edgecam.contract import ModelSpec
from edgecam.overlay import Overlay
from edgecam.quant import quantize
from edgecam.scene import Scene
from edgecam.types import Detections, Frame, Geometry, HeadOptions

SIZE = (1280, 720)
CALLS = 100


def outputs(objects: int) -> Any:
    """YOLOv8 640's raw int8 outputs, twenty rows over each of so many objects, and their tensor."""
    rng, n = np.random.default_rng(0), 8400
    real = np.zeros((n, 84), np.float32)
    real[:, 4:] = rng.uniform(0, 0.02, (n, 80))
    rows = rng.choice(n, 20 * objects, replace=False)
    places = np.concatenate([rng.uniform(60, 580, (objects, 2)), rng.uniform(20, 60, (objects, 2))], axis=1)
    real[rows, :4] = (np.repeat(places, 20, axis=0) + rng.normal(0, 2, (20 * objects, 4))) / 640
    real[rows, 4] = rng.uniform(0.4, 0.95, 20 * objects)
    array = np.ascontiguousarray(real.T)[None]
    tensor = info(array.shape, "int8", 1 / 200, -100)
    return quantize(array, tensor), tensor


def measure(objects: int, films: list[bytes]) -> dict[str, float]:
    """CPU milliseconds a frame of each stage with so many objects."""
    raw, tensor = outputs(objects)
    spec = ModelSpec("yolov8", "detect", "yolov8")
    make = registry.load(registry.HEADS, "decoder", "yolov8")
    head = make(spec, info((1, 640, 640, 3), "uint8", 1.0), [tensor], HeadOptions(threshold=0.3, top_k=100))
    geometry = Geometry(SIZE, (640, 640), (640 / 1280, 640 / 720), (0.0, 0.0))
    packets, overlay = scene(SIZE, films, objects), Overlay()
    drawn = [overlay.draw(packet) for packet in packets]
    followed, count = Analysis(Scene()), len(packets)
    found = packets[0].result
    assert isinstance(found, Detections)

    def follow(number: int) -> None:
        frame = Frame(number, packets[0].frame.image, captured=1000 + number / 30)
        followed.look(frame, found, packets[0].labels, 0.3)

    return {
        "decode outputs": cpu_ms(lambda n: head.decode([raw], geometry), CALLS),
        "track": cpu_ms(follow, CALLS),
        "result as JSON": cpu_ms(lambda n: json.dumps(packets[n % count].record()), CALLS),
        "overlay": cpu_ms(lambda n: overlay.draw(packets[n % count]), CALLS),
        "encode": cpu_ms(lambda n: jpeg.encode(drawn[n % count]), CALLS),
    }
