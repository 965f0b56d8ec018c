"""The step that splits the data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters import runner, steps
from converters.dataset import Dataset
from converters.job import Job
from converters.recipes import Planned
from converters.runner import complete
from converters.work import Work
from edgecam import jpeg
from edgecam.errors import UsageError
from tests.helpers.pictures import class_folders
from tests.helpers.steps import Heard


def run(work: Work, job: Job) -> tuple[dict[str, object], Heard]:
    step, heard = steps.load("data"), Heard()
    return step.run(work, complete(step, job, {}), heard), heard


def test_split_histogram_and_figures(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures", {"cat": 60, "dog": 15})
    for number in range(13):
        (root / "dog" / f"broken{number}.jpg").write_bytes(b"")
    shutil.copy(root / "cat" / "0.jpg", root / "cat" / "again.jpg")
    work = Work(tmp_path / "work")
    figures, heard = run(work, Job(data=str(root), seed=3))
    data = Dataset.from_json(work.path("data.json").read_text())
    assert figures["files"] == ["data.json"]
    assert figures["fingerprint"] == data.fingerprint
    assert figures["counts"] == data.counts()
    assert figures["problems"] == {"unreadable": 13, "duplicate": 1}
    assert heard.done[-1] == (89, 89)
    sizes = {part: len(found) for part, found in data.parts().items()}
    parts = "  ".join(f"{part} {size}" for part, size in sizes.items())
    assert heard.lines[0] == f"75 pictures ({parts}), 2 classes"
    head, cats, dogs = heard.lines[1:]
    assert head.split() == ["class", "train", "validation", "test"]
    assert cats.split()[0] == "cat"
    assert cats.count("█") == 4 * dogs.count("█")
    assert [int(word) for word in dogs.split()[-3:]] == [numbers[1] for numbers in data.counts().values()]
    assert len(heard.warnings) == 5 + 1 + 1
    assert heard.warnings[5] == "and 8 more: 13 cannot be read (all are in data.json)"


def test_bursts_are_counted_and_not_listed(tmp_path: Path) -> None:
    """A camera's bursts: 12 scenes, each shot three times."""
    rng = np.random.default_rng(6)
    root = tmp_path / "pictures"
    for number in range(12):
        scene: Any = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (80, 60))
        for shot in range(3):
            path = root / ("cat", "dog")[number % 2] / f"{number}-{shot}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg.encode(scene, 80 + shot))
    figures, heard = run(Work(tmp_path / "work"), Job(data=str(root)))
    assert figures["problems"] == {"near": 12}
    assert len(heard.warnings) == 2
    assert "nearly the same as 0-1.jpg, 0-2.jpg: kept together in " in heard.warnings[0]
    assert heard.warnings[1] == "and 11 more: 12 groups of nearly the same pictures (all are in data.json)"


def test_many_classes_are_summed_up(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures", {f"class {n:02}": 10 + n for n in range(34)})
    _, heard = run(Work(tmp_path / "work"), Job(data=str(root)))
    assert len(heard.lines) == 1 + 1 + 30 + 1
    assert heard.lines[2].split()[:2] == ["class", "33"]
    assert heard.lines[-1] == "  and 4 rarer classes with 46 pictures"


def test_a_changed_picture_of_a_list_is_noticed(tmp_path: Path) -> None:
    """The list is the same, but what it names has changed."""
    root = class_folders(tmp_path / "pictures", {"cat": 30, "dog": 30})
    lines = [f"pictures/{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.jpg"))]
    source = tmp_path / "list.csv"
    source.write_text("\n".join(lines))
    work, job, heard = Work(tmp_path / "work"), Job(data=str(source)), Heard()
    for expected in (0, 1):
        runner.run(work, job, [Planned("data")], heard)
        assert heard.lines.count("data: done already") == expected
    before = work.figures("data")
    (root / "cat" / "0.jpg").write_bytes(next((root / "dog").iterdir()).read_bytes())
    runner.run(work, job, [Planned("data")], heard)
    assert heard.lines.count("data: done already") == 1
    assert before is not None
    assert work.figures("data") != before
    (root / "cat" / "1.jpg").unlink()
    runner.run(work, job, [Planned("data")], heard)
    assert any("1.jpg" in line for line in heard.warnings)


def test_labels_of_the_model(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures", {"cat": 30, "dog": 30})
    (tmp_path / "labels.txt").write_text("dog\nfox\ncat\n")
    step = steps.load("data")
    work, job = Work(tmp_path / "work"), Job(data=str(root), labels=str(tmp_path / "labels.txt"))
    figures, _ = run(work, job)
    assert figures["names"] == ["dog", "fox", "cat"]
    assert list(step.inputs(work, complete(step, job, {}))) == [root, tmp_path / "labels.txt"]


def test_without_pictures_nothing_is_written(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    with pytest.raises(UsageError, match="--data"):
        run(work, Job())
    with pytest.raises(UsageError, match="does not exist"):
        run(work, Job(data=str(tmp_path / "nowhere")))
    assert not work.root.exists()
