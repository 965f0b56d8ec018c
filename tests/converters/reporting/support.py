"""Stories to tell: a classifier's and a detector's, of made-up figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from converters.average_precision import Truth
from converters.judging import gate, mistakes
from converters.judging.answers import Answers, Translation, Truths
from converters.judging.compare import compare
from converters.judging.figures import Figures
from converters.layers import LayerError, LayerReport
from edgecam import jpeg
from edgecam.contract import ModelSpec
from edgecam.types import Classification, Detections

NAMES = ("ant", "bee", "cow & <calf>")


def pictures(folder: Path, count: int) -> list[str]:
    """Plain pictures of different colours."""
    paths = []
    for n in range(count):
        image = np.full((60, 90, 3), (40 * n % 256, 90, 200), np.uint8)
        path = folder / f"{n}.jpg"
        path.write_bytes(jpeg.encode(image))
        paths.append(str(path))
    return paths


def figures(name: str, answers: Answers, truth: Truths, **more: Any) -> Figures:
    values = {
        "bytes": 2_000_000,
        "compressed": 1_500_000,
        "macs": 152_800_000,
        "parameters": 2_200_000,
        "invoke_ms": 2.0,
        "total_ms": 2.5,
        "p95_ms": 3.0,
        "threads": "CPU x2",
        "runtime": "ai-edge-litert 2.3.0",
        "rate": 300.0,
        "bare_rate": 310.0,
    }
    return Figures(name=name, sha256="0" * 64, accuracy=answers.accuracy(truth), **{**values, **more})


def layer(index: int, own: float | None, reached: float | None) -> LayerError:
    return LayerError(
        index,
        "CONV_2D",
        f"block_{index}",
        f"net/block_{index}",
        "",
        reached,
        own,
        40.0,
        own,
        0.01,
        1000,
        "int8",
    )


def evaluated(models: Mapping[str, Figures], answers: Mapping[str, Answers], truth: Truths) -> dict[str, Any]:
    """What the step ``evaluate`` would have noted."""
    base = models["float"].accuracy
    found = {
        name: compare(base, entry.accuracy, answers["float"], answers[name], truth)
        for name, entry in models.items()
        if name != "float"
    }
    wrong = (
        mistakes.of_detector(answers["int8"], truth)
        if truth.boxes
        else mistakes.of_classifier(answers["float"], answers["int8"], truth)
    )
    layers = LayerReport(16, (layer(0, None, 60.0), layer(1, 40.0, 35.0), layer(2, 12.5, 10.0)))
    return {
        "task": base.task,
        "names": list(NAMES),
        "pictures": len(truth.paths),
        "machine": {"cpu": "a processor"},
        "models": {name: entry.as_dict() for name, entry in models.items()},
        "comparisons": {name: entry.as_dict() for name, entry in found.items()},
        "verdicts": {
            name: gate.judge(name, base, models[name].accuracy, entry).as_dict()
            for name, entry in found.items()
        },
        "chosen": "int8",
        "layers": {"int8": asdict(layers)},
        "mistakes": wrong,
        "repair": {},
    }


def classified(folder: Path, wrong: int = 3) -> dict[str, Any]:
    """A float classifier that is right on 60 pictures and an int8 one that errs on some of them."""
    truth = Truths(tuple(pictures(folder, 60)), np.arange(60) % 3)

    def answers(said: Sequence[int]) -> Answers:
        made = Answers(Translation(ModelSpec("m", "classify", "classify", NAMES), 0, NAMES))
        for class_id in said:
            result = Classification(np.array([0.8], np.float32), np.array([class_id], np.int32))
            made.add((result, result))
        return made

    right = [int(c) for c in truth.class_id]
    made = {
        "float": answers(right),
        "int8": answers([(c + 1) % 3 if n < wrong else c for n, c in enumerate(right)]),
        "far-off": answers([0] * 60),
    }
    models = {
        "float": figures("float", made["float"], truth, bytes=8_000_000, invoke_ms=4.0),
        "int8": figures("int8", made["int8"], truth),
        "far-off": figures("far-off", made["far-off"], truth, invoke_ms=100.0),
    }
    return evaluated(models, made, truth)


def detected(folder: Path) -> dict[str, Any]:
    """A float detector that finds both objects and an int8 one that finds one and sees another."""
    boxes = np.array([(0, 0, 30, 30), (50, 10, 80, 50)], np.float32)
    paths = tuple(pictures(folder, 2))
    truth = Truths(paths, np.full(2, -1), (Truth(boxes, np.array([0, 2], np.int32)),) * 2)

    def answers(found: Detections) -> Answers:
        made = Answers(Translation(ModelSpec("m", "detect", "ssd-postprocess", NAMES), 0, NAMES))
        for _ in paths:
            made.add((found, found))
        return made

    scores = np.array([0.9, 0.7], np.float32)
    made = {
        "float": answers(Detections(boxes, scores, np.array([0, 2], np.int32))),
        "int8": answers(Detections(boxes, scores, np.array([0, 1], np.int32))),
    }
    models = {name: figures(name, entry, truth) for name, entry in made.items()}
    return evaluated({**models, "float": replace(models["float"], invoke_ms=5.0)}, made, truth)
