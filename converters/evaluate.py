"""What a finished ``.tflite`` file is worth, found with the runtime's own parts.

The file is run as the device runs it: its contract, :mod:`edgecam.preprocess`, the engine and the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from converters.average_precision import Truth
from converters.judging import figures
from converters.judging.runner import Runner
from edgecam.errors import UsageError
from edgecam.types import Classification, Detections, HeadOptions, Image, Result

R = TypeVar("R", Detections, Classification)


class Predictor:
    """A model file that answers for pictures; a context manager, which frees the interpreter.

    Args:
        model: path of a ``.tflite`` with a contract.
        options: what to ask of the decoder.

    Raises:
        ModelError: the file or its contract is wrong.
        EngineError: it cannot be run here.
    """

    def __init__(self, model: Path, options: HeadOptions | None = None) -> None:
        self._runner = Runner(model)
        self.spec = self._runner.spec
        self._head = self._runner.make_head(options or HeadOptions())

    def __call__(self, rgb: Image) -> Result:
        return self._runner.ask(rgb, self._head)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture and what it shows; ``truth.class_id`` indexes the data set's names."""

    path: Path
    image: Image
    truth: Truth


def read_yolo(folder: Path) -> Iterator[Labelled]:
    """Pictures (``*.jpg``) with boxes beside them (``*.txt``: class, centre x, centre y, width, height;
    relative), sorted by name.

    Raises:
        UsageError: there is none.
        FrameError: a picture is broken.
    """
    from edgecam import jpeg

    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise UsageError(
            f"no pictures (*.jpg) in {folder}", "name a folder of pictures with boxes beside them"
        )
    for path in paths:
        image = jpeg.decode(path.read_bytes())
        boxes = path.with_suffix(".txt")
        text = boxes.read_text() if boxes.exists() else ""
        yield Labelled(path, image, _yolo_truth(text, image.shape[1], image.shape[0]))


def _yolo_truth(text: str, width: int, height: int) -> Truth:
    rows = np.array([line.split() for line in text.splitlines() if line.strip()], np.float32).reshape(-1, 5)
    size = np.array([width, height], np.float32)
    centre, half = rows[:, 1:3] * size, rows[:, 3:5] * size / 2
    return Truth(np.hstack([centre - half, centre + half]), rows[:, 0].astype(np.int32))


@dataclass(frozen=True)
class DetectionFigures:
    """How good a detector is.

    Attributes:
        pictures: how many it was tried on.
        objects: how many they show.
        ap50: mean over classes of the average precision at an overlap of 0.5.
        ap: the same, also averaged over overlaps 0.5 to 0.95 (COCO's own figure).
    """

    pictures: int
    objects: int
    ap50: float
    ap: float


def judge_detector(model: Path, pictures: Iterable[Labelled], names: Sequence[str]) -> DetectionFigures:
    """Average precision of a detector file; every detection that the file gives counts.

    Args:
        model: the file; its labels must contain each of ``names``.
        pictures: with their truth.
        names: what the truth's class ids mean.

    Raises:
        UsageError: the model does not know one of the names.
    """
    found: list[Detections] = []
    truth: list[Truth] = []
    with Predictor(model, HeadOptions(threshold=0.0)) as predictor:
        ids = _class_ids(predictor.spec.labels, names)
        for picture in pictures:
            found.append(_as(Detections, predictor(picture.image), model))
            truth.append(Truth(picture.truth.xyxy, ids[picture.truth.class_id]))
    shown = figures.of_detections(found, found, truth, predictor.spec.labels)
    return DetectionFigures(
        len(truth), sum(len(t.class_id) for t in truth), shown.ap50 or 0.0, shown.ap or 0.0
    )


def _as(kind: type[R], result: Result, model: Path) -> R:
    if not isinstance(result, kind):
        raise UsageError(f"{model} does not give {kind.__name__}", "judge a model of the other task")
    return result


def _class_ids(labels: Sequence[str], names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise UsageError(f"the model has no label {unknown[0]!r}", "judge it on data with its own classes")
    return np.array([labels.index(name) for name in names], np.int32)


@dataclass(frozen=True)
class PersonFigures:
    """How good a person / no person classifier is.

    Attributes:
        shown: pictures with a person.
        found: of them, called so.
        empty: pictures without.
        rejected: of them, called so.
        unclear: pictures left out, with small persons only.
    """

    shown: int
    found: int
    empty: int
    rejected: int
    unclear: int

    @property
    def accuracy(self) -> float:
        return (self.found + self.rejected) / max(self.shown + self.empty, 1)


def judge_person(
    model: Path, pictures: Iterable[Labelled], person: int = 0, share: float = 0.025
) -> PersonFigures:
    """A person classifier on pictures with boxes.

    A picture shows a person if one covers more than ``share`` of it, and none if there is no person at all;
    what lies between is left out. That is how the model's own training data was made.

    Args:
        model: the file; its first label is the person.
        pictures: with their truth.
        person: the truth's class id of persons.
        share: of the picture's area.
    """
    counts = {True: [0, 0], False: [0, 0]}
    unclear = 0
    with Predictor(model, HeadOptions(threshold=0.0, top_k=1)) as predictor:
        for picture in pictures:
            boxes = picture.truth.xyxy[picture.truth.class_id == person]
            area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).max(initial=0.0)
            shows = bool(area > share * picture.image.shape[0] * picture.image.shape[1])
            if len(boxes) and not shows:
                unclear += 1
                continue
            result = _as(Classification, predictor(picture.image), model)
            counts[shows][0] += 1
            counts[shows][1] += (int(result.class_id[0]) == 0) == shows
    (shown, found), (empty, rejected) = counts[True], counts[False]
    return PersonFigures(shown, found, empty, rejected, unclear)


@dataclass(frozen=True)
class FaceFigures:
    """What a face detector finds on pictures whose truth knows persons, not faces.

    Attributes:
        empty: pictures without a person.
        false_alarms: of them, pictures in which it sees a face.
        faces: faces it sees in the other pictures.
        on_person: of them, those whose middle lies in a person's box.
    """

    empty: int
    false_alarms: int
    faces: int
    on_person: int


def judge_faces(model: Path, pictures: Iterable[Labelled], person: int = 0) -> FaceFigures:
    """A face detector at its own threshold; says how often it is wrong, not what it misses."""
    empty = false_alarms = faces = on_person = 0
    with Predictor(model) as predictor:
        for picture in pictures:
            result = _as(Detections, predictor(picture.image), model)
            boxes = picture.truth.xyxy[picture.truth.class_id == person]
            if not len(boxes):
                empty += 1
                false_alarms += len(result) > 0
                continue
            middle = (result.xyxy[:, None, :2] + result.xyxy[:, None, 2:]) / 2
            inside = ((boxes[:, :2] <= middle) & (middle <= boxes[:, 2:])).all(axis=2).any(axis=1)
            faces += len(result)
            on_person += int(inside.sum())
    return FaceFigures(empty, false_alarms, faces, on_person)
