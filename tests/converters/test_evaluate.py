"""The judges, on the bundled models and pictures whose truth is made up to be known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.average_precision import Truth
from converters.evaluate import (
    Labelled,
    PersonFigures,
    Predictor,
    judge_detector,
    judge_faces,
    judge_person,
    read_yolo,
)
from edgecam import jpeg
from edgecam.errors import UsageError
from edgecam.types import Detections, HeadOptions, Image

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "models"
WALL = ROOT / "edgecam" / "sources" / "assets" / "wall.jpg"


@pytest.fixture(scope="module")
def wall() -> Image:
    """Photographs of two persons, a cat and a cup."""
    return jpeg.decode(WALL.read_bytes())


@pytest.fixture(scope="module")
def portrait(wall: Image) -> Image:
    """One of the persons."""
    return wall[247:895, 1585:2140]


def test_read_yolo(tmp_path: Path, wall: Image) -> None:
    picture = wall[:100, :200]
    (tmp_path / "b.jpg").write_bytes(jpeg.encode(picture))
    (tmp_path / "b.txt").write_text("7 0.5 0.5 1 1\n\n2 0.25 0.1 0.1 0.2\n")
    (tmp_path / "a.jpg").write_bytes(jpeg.encode(picture))
    first, second = read_yolo(tmp_path)
    assert (first.path.name, len(first.truth.class_id)) == ("a.jpg", 0)
    assert second.image.shape == (100, 200, 3)
    np.testing.assert_allclose(second.truth.xyxy, [[0, 0, 200, 100], [40, 0, 60, 20]], atol=1e-4)
    assert second.truth.class_id.tolist() == [7, 2]


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        list(read_yolo(tmp_path))


def test_a_detector_is_perfect_by_its_own_best_boxes(wall: Image) -> None:
    """Truth made of what it finds with certainty; its weaker boxes rank behind and cost nothing."""
    model = MODELS / "detect-coco.tflite"
    predictor = Predictor(model, HeadOptions(threshold=0.6))
    found = predictor(wall)
    assert isinstance(found, Detections)
    names = [predictor.spec.labels[c] for c in found.class_id]
    assert "person" in names
    assert "cat" in names
    known = sorted(set(names))
    truth = Truth(found.xyxy, np.array([known.index(name) for name in names], np.int32))
    figures = judge_detector(model, [Labelled(WALL, wall, truth)], known)
    assert (figures.pictures, figures.objects) == (1, len(found))
    assert (figures.ap50, figures.ap) == (1.0, 1.0)


def test_a_detector_that_does_not_know_a_name() -> None:
    with pytest.raises(UsageError, match="unicorn"):
        judge_detector(MODELS / "detect-coco.tflite", [], ["person", "unicorn"])


def picture(image: Image, *boxes: tuple[float, float, float, float]) -> Labelled:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Labelled(WALL, image, Truth(xyxy, np.zeros(len(boxes), np.int32)))


def test_persons_are_counted_by_their_size(portrait: Image) -> None:
    grey = np.full((96, 96, 3), 127, np.uint8)
    pictures = [
        picture(portrait, (0, 0, 555, 648)),
        picture(grey),
        picture(grey, (0, 0, 10, 10)),  # 1.1% of the picture
        picture(grey, (0, 0, 48, 48)),
    ]
    figures = judge_person(MODELS / "classify-person.tflite", pictures)
    assert (figures.shown, figures.empty, figures.unclear) == (2, 1, 1)
    assert figures.rejected == 1, "a grey picture shows nobody"
    assert figures.found == 1, "nor does it where the truth says so"


def test_accuracy_is_of_all_clear_pictures() -> None:
    assert PersonFigures(shown=3, found=2, empty=1, rejected=1, unclear=9).accuracy == 0.75


def test_faces_on_and_off_persons(portrait: Image) -> None:
    model = MODELS / "face.tflite"
    everywhere = judge_faces(model, [picture(portrait, (0, 0, 555, 648))])
    nowhere = judge_faces(model, [picture(portrait, (0, 0, 1, 1))])
    nobody = judge_faces(model, [picture(portrait)])
    assert everywhere.faces == everywhere.on_person > 0
    assert (nowhere.faces, nowhere.on_person) == (everywhere.faces, 0)
    assert (nobody.empty, nobody.false_alarms, nobody.faces) == (1, 1, 0)


@pytest.mark.parametrize(
    ("judge", "model"), [(judge_person, "face"), (judge_faces, "classify-person")], ids=["person", "faces"]
)
def test_judges_refuse_the_wrong_task(judge: object, model: str, wall: Image) -> None:
    assert callable(judge)
    with pytest.raises(UsageError, match=model):
        judge(MODELS / f"{model}.tflite", [picture(wall)])
