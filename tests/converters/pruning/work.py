"""A work folder with pictures of three colours and a network that tells them apart."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from converters import steps
from converters.job import Job
from converters.runner import complete
from converters.work import Work

SIDE = 16


class Heard:
    """A report that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    warn = line

    @contextmanager
    def progress(self, what: str) -> Any:
        yield lambda done, total: None


def make(root: Path, count: int = 40) -> Work:
    """Pictures, their split, and ``trained.keras``."""
    import keras
    from PIL import Image as pil

    from converters.training import files

    rng = np.random.default_rng(4)
    names = ("blue", "green", "red")
    for class_id, name in enumerate(names):
        (root / "pictures" / name).mkdir(parents=True)
        for number in range(count):
            x = rng.integers(0, 200, (SIDE, SIDE, 3))
            x[..., 2 - class_id] += 30
            pil.fromarray(x.astype(np.uint8)).save(root / "pictures" / name / f"{number}.png")
    work = Work(root / "work")
    step = steps.load("data")
    step.run(work, complete(step, Job(data=str(root / "pictures")), {}), Heard())
    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(24, 3, padding="same", activation="relu", name="middle")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Softmax(name="scores")(layers.Dense(3, name="logits")(x))
    model = keras.Model(image, x, name="small")
    files.save_model(model, work.path("trained.keras"), {"names": list(names), "network": "small"})
    return work


def options(work: Work, step: str, **said: Any) -> dict[str, Any]:
    """All options of a step, with those that are said."""
    loaded = steps.load(step)
    known = {"model": str(work.path("trained.keras")), "batch": 32, "threads": 1, "flip": False, "shift": 0.0}
    return complete(loaded, Job(), {**known, **said})
