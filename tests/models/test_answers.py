"""What the bundled models say of real pictures, run by the device's own parts."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.coco import NAMES
from converters.evaluate import (
    Labelled,
    Predictor,
    judge_detector,
    judge_faces,
    judge_person,
    read_yolo,
)
from edgecam import contract, jpeg
from edgecam.types import Classification, Detections, Result

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


def look(model: str, picture: Path) -> tuple[Result, list[str]]:
    """(result, its labels)"""
    predictor = Predictor(MODELS / f"{model}.tflite")
    result = predictor(jpeg.decode(picture.read_bytes()))
    return result, [predictor.spec.labels[c] for c in result.class_id]


@pytest.mark.real
def test_detector_on_a_bus(real: Path) -> None:
    result, names = look("detect-coco", real / "bus.jpg")
    assert isinstance(result, Detections)
    assert sorted(set(names)) == ["bus", "person"]
    assert names.count("person") >= 2
    bus = result.xyxy[names.index("bus")]
    np.testing.assert_allclose(bus, [10, 230, 800, 745], atol=40)


@pytest.mark.real
def test_detector_on_a_cat(real: Path) -> None:
    result, names = look("detect-coco", real / "cat_720p.jpg")
    assert names == ["cat"]
    assert result.score[0] > 0.8


@pytest.mark.real
@pytest.mark.parametrize(
    ("picture", "answer"), [("bus.jpg", "person"), ("face.jpg", "person"), ("cat_720p.jpg", "no person")]
)
def test_person_or_not(real: Path, picture: str, answer: str) -> None:
    result, names = look("classify-person", real / picture)
    assert isinstance(result, Classification)
    assert names == [answer]
    assert result.score[0] > 0.8


@pytest.mark.real
def test_the_ten_things_are_as_good_as_the_card_says() -> None:
    """Every tenth of CIFAR-10's 10,000 test pictures."""
    from tests.conftest import REAL

    archive = REAL.parent / "data" / "cifar10.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is absent: the figure in the card cannot be measured again")
    predictor = Predictor(MODELS / "classify-things10.tflite")
    right = []
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(name for name in zipped.namelist() if "test/" in name and name.endswith(".jpg"))
        for name in names[::10]:
            result = predictor(jpeg.decode(zipped.read(name)))
            right.append(predictor.spec.labels[result.class_id[0]] == name.split("/")[-2])
    assert len(right) == 1000
    assert np.mean(right) == pytest.approx(report("classify-things10")["int8"]["top1"], abs=0.03)


@pytest.mark.real
def test_faces_and_their_points(real: Path) -> None:
    """The boxes and points are those that MediaPipe's own FaceDetector gives for this file."""
    result, names = look("face", real / "face.jpg")
    assert isinstance(result, Detections)
    assert names == ["face", "face"]
    expected = [[256, 70, 359, 173], [131, 104, 228, 201]]
    np.testing.assert_allclose(result.xyxy, expected, atol=6)
    assert result.keypoints is not None
    right_eye, left_eye, nose, mouth = result.keypoints[0, :4]
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < mouth[1]


@pytest.mark.real
def test_nobody_s_face_on_a_cat(real: Path) -> None:
    result, _ = look("face", real / "cat_720p.jpg")
    assert len(result) == 0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Labelled]:
    """64 pictures of COCO val2017 with their boxes."""
    from tests.conftest import REAL

    archive = REAL.parent / "data" / "coco164.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is absent: the figures in the cards cannot be measured again")
    folder = tmp_path_factory.mktemp("coco")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder, [name for name in zipped.namelist() if "/val/" in name])
    return list(read_yolo(folder / "coco164" / "val"))


def report(name: str) -> dict[str, Any]:
    spec = contract.read(MODELS / f"{name}.tflite")
    assert spec is not None
    return dict(spec.report)


@pytest.mark.real
def test_the_detector_is_as_good_as_its_card_says(pictures: list[Labelled]) -> None:
    """With leeway for another processor's rounding: on so few pictures it moves AP50 by more than AP."""
    figures = judge_detector(MODELS / "detect-coco.tflite", pictures, NAMES)
    said = report("detect-coco")
    assert (figures.pictures, figures.objects) == (64, 461)
    assert figures.ap50 == pytest.approx(said["int8"]["ap50"], abs=0.02)
    assert figures.ap == pytest.approx(said["int8"]["ap"], abs=0.01)
    assert said["float"]["ap50"] - figures.ap50 < 0.025


@pytest.mark.real
def test_the_person_classifier_is_as_good_as_its_card_says(pictures: list[Labelled]) -> None:
    figures = judge_person(MODELS / "classify-person.tflite", pictures)
    assert figures.accuracy == pytest.approx(report("classify-person")["int8"]["top1"], abs=0.03)
    assert (figures.shown, figures.empty, figures.unclear) == (34, 24, 6)


@pytest.mark.real
def test_the_face_detector_is_as_good_as_its_card_says(pictures: list[Labelled]) -> None:
    figures = judge_faces(MODELS / "face.tflite", pictures)
    assert report("face")["false_alarms"] == "0 of 24 pictures without a person"
    assert figures.empty == 24
    assert figures.false_alarms <= 1
    assert figures.on_person / figures.faces > 0.9
