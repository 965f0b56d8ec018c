"""What privacy costs: covering boxes and masks, and looking for faces, milliseconds a picture.

    python -m benchmarks.privacy [--size 1280x720] [--faces 5] [--frames 300]

``cover`` is all that makes a private picture out of pixels (the copy included) once the boxes are known;
``faces`` is the face model on one picture and its thread's round trip, on one CPU thread.
CPU time is that of the whole process, all threads; wall clock is the least and the median.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.overlay import scene
from edgecam import build, build_privacy
from edgecam.config import Settings
from edgecam.privacy.faces import Faces
from edgecam.privacy.filter import Privacy, Rules
from edgecam.privacy.mask import Mask
from edgecam.registry import parse_size
from edgecam.types import Detections, Floats, Frame

LABELS = ("face",)
MASKS = (Mask(((0, 0), (0.3, 0), (0.25, 0.4), (0, 0.5))), Mask(((0.7, 0.5), (1, 0.5), (1, 1), (0.8, 1))))


def boxes(width: int, height: int, count: int) -> Detections:
    """Faces of a group before a camera: a seventh to a quarter of the picture's height."""
    rng = np.random.default_rng(1)
    side = rng.uniform(height / 7, height / 4, count)
    corner = rng.uniform(0, 1, (count, 2)) * (np.array([width, height]) - side[:, None])
    xyxy = np.concatenate([corner, corner + side[:, None]], axis=1).astype(np.float32)
    return Detections(xyxy, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))


def measure(name: str, work: Callable[[int], object], frames: int) -> None:
    walls, cpus = [], []
    for i in range(frames + 10):
        wall, cpu = time.perf_counter(), time.process_time()
        work(i)
        cpus.append((time.process_time() - cpu) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
    walls, cpus = walls[10:], cpus[10:]
    print(
        f"{name:34} CPU median {statistics.median(cpus):6.2f} ms   "
        f"wall least {min(walls):6.2f}, median {statistics.median(walls):6.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=parse_size, default=(1280, 720))
    parser.add_argument("--faces", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    args = parser.parse_args()
    width, height = args.size
    image, found = scene(width, height), boxes(width, height, args.faces)

    def covering(rules: Rules) -> Callable[[int], object]:
        privacy = Privacy(rules)
        return lambda i: privacy.protect(Frame(i, image, media_time=i / 30), found, LABELS)[0].image

    none = Detections.empty()
    bare = Privacy(Rules(masks=MASKS[:0], classes=()))
    measure("copy alone", lambda i: bare.protect(Frame(i, image), none, LABELS)[0].image, args.frames)
    for style in ("solid", "pixelate"):
        rules = Rules(classes=LABELS, style=style)
        measure(f"cover {args.faces} faces, {style}", covering(rules), args.frames)
    measure("cover 2 masks, solid", covering(Rules(masks=MASKS)), args.frames)
    coarse = tuple(Mask(mask.points, fill="pixelate") for mask in MASKS)
    measure("cover 2 masks, pixelate", covering(Rules(masks=coarse)), args.frames)

    settings = Settings()
    model = build_privacy._face_model(settings, build.load_model)
    faces = Faces(build_privacy._finder(model))
    nobody: Floats = np.zeros((0, 4), np.float32)
    persons = np.array([[i * 200, 100, i * 200 + 150, 600] for i in range(3)], np.float32)
    measure("faces: the whole picture", lambda _: faces(image, nobody), args.frames)
    measure("faces: and closer at 3 persons", lambda _: faces(image, persons), args.frames)
    assert faces.close()
    model.engine.close()


if __name__ == "__main__":
    main()
