"""Sets of pictures with boxes, written in the formats that data sets come in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from converters.dataset import Dataset, Sample
from tests.helpers.pictures import save, scene

#: file name -> (label, x1 y1 x2 y2) of each object
Truths = dict[str, list[tuple[str, list[float]]]]


def make_shapes(root: Path) -> Truths:
    """Two objects on most of 40 pictures of 64x48, none on the others."""
    truth: Truths = {}
    for number in range(40):
        save(root / f"{number}.png", scene(number, 64, 48))
        boxes = [("disc", [4.0, 6.0, 20.0, 30.0]), ("bar", [number / 2, 8.0, 60.0, 16.0])]
        truth[f"{number}.png"] = boxes if number % 5 else []
    return truth


def samples(data: Dataset) -> list[Sample]:
    """All of them."""
    return [sample for part in data.parts().values() for sample in part]


def write_csv(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def check_shapes(data: Dataset, truth: Truths) -> None:
    assert data.task == "detect"
    assert sorted(data.names) == ["bar", "disc"]
    assert len(samples(data)) == len(truth)
    for sample in samples(data):
        wanted = truth[sample.path.name]
        assert sample.truth is not None
        assert [data.names[c] for c in sample.truth.class_id] == [label for label, _ in wanted]
        np.testing.assert_allclose(sample.truth.xyxy, np.reshape([b for _, b in wanted], (-1, 4)), atol=1e-4)
        assert sample.truth.xyxy.dtype == np.float32


def as_csv(root: Path, truth: Truths) -> Path:
    lines = ["path,label,x1,y1,x2,y2"]
    for name, boxes in truth.items():
        lines += [f"{name},{label},{','.join(map(str, box))}" for label, box in boxes] or [f"{name},,,,,"]
    return write_csv(root / "boxes.csv", lines)


def as_coco(root: Path, truth: Truths) -> Path:
    images = [{"id": n, "file_name": name} for n, name in enumerate(truth)]
    annotations = [
        {
            "id": 1,
            "image_id": n,
            "category_id": 7 if label == "disc" else 9,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": 0,
        }
        for n, boxes in enumerate(truth.values())
        for label, (x1, y1, x2, y2) in boxes
    ]
    categories = [{"id": 9, "name": "bar"}, {"id": 7, "name": "disc"}]
    crowd = {"id": 2, "image_id": 0, "category_id": 7, "bbox": [0, 0, 64, 48], "iscrowd": 1}
    content = {"images": images, "annotations": [*annotations, crowd], "categories": categories}
    path = root / "annotations" / "boxes.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def as_yolo(root: Path, truth: Truths) -> Path:
    (root / "data.yaml").write_text("nc: 2\nnames:\n  0: disc\n  1: 'bar'  # thin\ntrain: here\n")
    for name, boxes in truth.items():
        lines = [
            f"{int(label == 'bar')} {(x1 + x2) / 128} {(y1 + y2) / 96} {(x2 - x1) / 64} {(y2 - y1) / 48}\n"
            for label, (x1, y1, x2, y2) in boxes
        ]
        if lines:
            (root / name).with_suffix(".txt").write_text("".join(lines))
    return root
