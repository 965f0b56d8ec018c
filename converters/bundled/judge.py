"""What the bundled models are worth, the way their cards say it was measured."""

from __future__ import annotations

from pathlib import Path

from converters.bundled import detect_coco
from converters.coco import NAMES
from converters.evaluate import judge_detector, judge_faces, judge_person, read_yolo
from converters.files import write_whole


def judge(folder: Path, models: Path, cache: Path) -> None:
    """Print the figures of the detector and its float twin, the person classifier, and the face detector.

    Args:
        folder: pictures with boxes of the 80 COCO classes beside them.
        models: where the models are.
        cache: for downloads and the float twin.
    """
    pictures = list(read_yolo(folder))
    twin = cache / "detect-coco-float.tflite"
    write_whole(twin, detect_coco.make_float(cache))
    for path in (twin, models / "detect-coco.tflite"):
        found = judge_detector(path, pictures, NAMES)
        print(
            f"{path.name}: AP50 {found.ap50:.4f}, AP {found.ap:.4f}"
            f" on {found.pictures} pictures with {found.objects} objects"
        )
    person = judge_person(models / "classify-person.tflite", pictures)
    print(
        f"classify-person.tflite: accuracy {person.accuracy:.3f}; person in {person.found} of {person.shown},"
        f" none in {person.rejected} of {person.empty}; {person.unclear} left out"
    )
    face = judge_faces(models / "face.tflite", pictures)
    print(
        f"face.tflite: a face in {face.false_alarms} of {face.empty} pictures without a person;"
        f" elsewhere {face.on_person} of {face.faces} faces lie on a person"
    )
