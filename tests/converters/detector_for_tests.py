"""Makes a small trained detector and its pictures: ``python detector_for_tests.py FOLDER``.

Runs in a process of its own, so that TensorFlow is not in that of the tests. On dark noise lies one red or
blue square; the network, one convolution a stride of 16, has one anchor a cell.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SIDE, STRIDE, SCALE = 64, 16, 0.3
NAMES = ("red", "blue")
ANCHORS = {
    "kind": "ssd",
    "strides": [STRIDE],
    "scales": [SCALE],
    "aspect_ratios": [1],
    "interpolated_scale": 0,
    "reduce_lowest": False,
}


def scene(rng: np.random.Generator) -> tuple[np.ndarray, int, tuple[int, int, int, int]]:
    """Picture, class, and x, y, width, height of its square."""
    pixels = rng.integers(0, 70, (SIDE, SIDE, 3))
    width, height = rng.integers(14, 28, 2)
    x, y = rng.integers(0, SIDE - width + 1), rng.integers(0, SIDE - height + 1)
    kind = int(rng.integers(2))
    pixels[y : y + height, x : x + width, 2 * kind] += 170
    return pixels.astype(np.uint8), kind, (int(x), int(y), int(width), int(height))


def write_pictures(folder: Path, count: int = 150) -> None:
    """PNG pictures and ``boxes.json`` in the manner of COCO."""
    from PIL import Image as pil

    rng = np.random.default_rng(11)
    images, annotations = [], []
    for number in range(count):
        picture, kind, box = scene(rng)
        pil.fromarray(picture).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        annotations.append({"id": number, "image_id": number, "category_id": kind + 1, "bbox": box})
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(content))


def examples(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, S, S, 3), box codes with a mark of the anchor that has one (N, A, 5), scores (N, A, C)."""
    from edgecam.heads.anchors import make_anchors

    rng = np.random.default_rng(12)
    anchors = make_anchors(ANCHORS, SIDE, SIDE)
    pictures = np.zeros((count, SIDE, SIDE, 3), np.float32)
    codes = np.zeros((count, len(anchors), 5), np.float32)
    scores = np.zeros((count, len(anchors), len(NAMES)), np.float32)
    for n in range(count):
        pictures[n], kind, box = scene(rng)
        x, y, width, height = np.array(box) / SIDE
        centre = np.array([y + height / 2, x + width / 2])
        cell = (centre * SIDE // STRIDE).astype(int)
        a = cell[0] * (SIDE // STRIDE) + cell[1]
        offset = (centre - anchors[a, :2]) / anchors[a, 2:] * 10
        codes[n, a] = [*offset, *(np.log(np.array([height, width]) / anchors[a, 2:]) * 5), 1]
        scores[n, a, kind] = 1
    return pictures, codes, scores


def trained(keras: Any) -> Any:
    """The network, its outputs called ``boxes`` and ``scores``, the latter logits."""
    layers, ops = keras.layers, keras.ops
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for filters in (12, 16, 24, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    cells = (SIDE // STRIDE) ** 2
    boxes = layers.Reshape((cells, 4), name="boxes")(layers.Conv2D(4, 1)(x))
    scores = layers.Reshape((cells, len(NAMES)), name="scores")(layers.Conv2D(len(NAMES), 1)(x))
    model = keras.Model(image, [boxes, scores])

    def of_boxes(truth: Any, found: Any) -> Any:
        return ops.mean(ops.abs(truth[..., :4] - found) * truth[..., 4:])

    def of_scores(truth: Any, found: Any) -> Any:
        return keras.losses.binary_crossentropy(truth, found, from_logits=True)

    model.compile(keras.optimizers.Adam(4e-3), [of_boxes, of_scores], loss_weights=[1.0, 10.0])
    pictures, codes, truth = examples(600)
    model.fit(pictures, [codes, truth], epochs=24, batch_size=32, verbose=0)
    return model


def main(folder: Path) -> None:
    from converters import detector
    from converters.quiet import quiet

    with quiet():
        import keras

        keras.utils.set_random_seed(1)
        model = trained(keras)
        model.save(folder / "squares.keras")
        model.export(folder / "saved")
    told = detector.ssd(ANCHORS, background=False, activation="sigmoid")
    for path in (folder / "squares.keras", folder / "saved"):
        told.write(detector.beside(path))
    (folder / "pictures").mkdir()
    write_pictures(folder / "pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
