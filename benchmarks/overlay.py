"""What one annotated picture costs: drawing and JPEG encoding, CPU milliseconds a frame.

    python benchmarks/overlay.py [--size 1280x720] [--boxes 8] [--frames 300]

Scores and the status line change from frame to frame as they do in a run, so text is rendered anew where the
run would. CPU time is that of the whole process, all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time

import cv2
import numpy as np

from edgecam import jpeg
from edgecam.overlay import Overlay
from edgecam.registry import parse_size
from edgecam.types import Detections, Frame, Image, Packet, Status

LABELS = ["person", "bicycle", "car", "dog", "cat", "traffic light", "dining table", "cell phone"]


def scene(width: int, height: int) -> Image:
    """A picture with about the detail of a photograph: smoothed noise over a slope."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 6, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def packets(width: int, height: int, boxes: int, frames: int) -> list[Packet]:
    rng = np.random.default_rng(1)
    frame = Frame(0, scene(width, height))
    out = []
    for i in range(frames):
        corner = rng.uniform(0, 0.7, (boxes, 2))
        extent = rng.uniform(0.05, 0.3, (boxes, 2))
        xyxy = np.concatenate([corner, corner + extent], axis=1) * [width, height, width, height]
        result = Detections(
            xyxy.astype(np.float32),
            rng.uniform(0.4, 1, boxes).astype(np.float32),
            rng.integers(0, len(LABELS), boxes).astype(np.int32),
        )
        status = Status(
            "live",
            model="detect-coco",
            device="CPU x4",
            camera_fps=30 + rng.normal(0, 0.1),
            inference_fps=30 + rng.normal(0, 0.1),
            inference_ms=12 + rng.normal(0, 1),
            age_ms=30 + rng.normal(0, 4),
            dropped=i // 10,
        )
        out.append(Packet(frame, result, LABELS, status))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=parse_size, default=(1280, 720))
    parser.add_argument("--boxes", type=int, default=8)
    parser.add_argument("--frames", type=int, default=300)
    args = parser.parse_args()
    overlay = Overlay()
    drawn, encoded = [], []
    for packet in packets(*args.size, args.boxes, args.frames):
        start = time.process_time()
        picture = overlay.draw(packet)
        middle = time.process_time()
        jpeg.encode(picture)
        drawn.append((middle - start) * 1000)
        encoded.append((time.process_time() - middle) * 1000)
    both = [a + b for a, b in zip(drawn, encoded, strict=True)]
    for name, values in (("draw", drawn), ("encode", encoded), ("both", both)):
        mean, median = statistics.fmean(values), statistics.median(values)
        p95 = sorted(values)[int(len(values) * 0.95)]
        print(f"{name:7} mean {mean:5.2f} ms   median {median:5.2f} ms   p95 {p95:5.2f} ms")


if __name__ == "__main__":
    main()
