"""What is said before a detector is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.average_precision import Truth
from converters.data import entries
from converters.dataset import Dataset, Sample
from converters.detection import jobs, shapes
from converters.steps.train import TrainStep
from edgecam.errors import UsageError


def options(**more: Any) -> dict[str, Any]:
    return (
        {option.name: option.default for option in TrainStep.options} | {"network": "ssd_mobilenet_v2"} | more
    )


def data(*class_ids: int) -> Dataset:
    boxes = np.tile(np.array([[0, 0, 9, 9]], np.float32), (len(class_ids), 1))
    sample = Sample(Path("a.png"), -1, Truth(boxes, np.array(class_ids, np.int32)))
    return Dataset("detect", ("cat", "dog"), (sample,), (), ())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"network": "cnn"}, "cnn knows no boxes"),
        ({"network": ""}, "no network is named"),
        ({"model": "x.keras"}, "both a network"),
        ({"rotate": 5.0}, "rotate = 5.0 does not go with boxes"),
        ({"balance": "sample"}, "balance = sample does not go with boxes"),
        ({"crop": 1.5}, "crop = 1.5"),
    ],
)
def test_options_that_do_not_go_with_boxes(more: dict[str, Any], said: str) -> None:
    jobs.check(options())
    with pytest.raises(UsageError) as error:
        jobs.check(options(**more))
    assert said in error.value.message


def test_a_class_without_boxes_is_named() -> None:
    assert jobs.doubts(data(*[0] * 30, *[1] * 30)) == []
    assert jobs.doubts(data(*[0] * 30)) == ["no training picture shows dog: these will never be found"]
    assert jobs.doubts(data(*[0] * 30, 1))[0].startswith("few training objects (dog 1)")


def test_shapes_are_repeatable_and_their_boxes_lie_inside(tmp_path: Path) -> None:
    made = dict(shapes.files(12, seed=3))
    assert made == dict(shapes.files(12, seed=3))
    assert made != dict(shapes.files(12, seed=4))
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    assert len(entries.pictures(tmp_path)) == 12
    for seed in range(30):
        scene = shapes.scene(np.random.default_rng(seed))
        x, y, w, h = np.array(scene.boxes).T
        assert ((x >= 0) & (y >= 0) & (x + w <= shapes.SIDE) & (y + h <= shapes.SIDE)).all()
        assert (np.minimum(w, h) > 8).all()
