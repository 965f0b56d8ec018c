"""Golden samples: pictures inside a model file, and what the model promises to say of them.

``golden`` of ``edgecam.json`` is a list of::

    {
      "picture": "golden/0.jpg",      in the zip behind the model; of the size of the model's input
      "crc32": 3735928559,            of its decoded RGB pixels: another JPEG decoder may give others
      "floor": 0.3,                   results with lower scores are not looked at
      "score": 0.1, "box": 0.05       tolerances: of a score, of a corner in shares of the input's sides
      "expect": [[0, 0.93], ...]      class id, score, and for a detector x1 y1 x2 y2 in the picture's pixels;
    }                                 all results from the floor up, best first

They prove that interpreter, delegate, preprocessing and decoder give here what they gave where the model was
made. Arithmetic is not the same to the bit on every processor (XNNPACK rounds otherwise on ARM), hence the
tolerances; a wrong runtime, delegate or normalisation is far outside of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecam import contract, jpeg, metadata, tflite
from edgecam.contract import ModelSpec
from edgecam.errors import ContractError, FrameError, ModelError
from edgecam.types import Classification, Detections, Image, Result

MAX_SIDE = 4096
_REMEDY = "make the file again: edgecam-convert embed"


@dataclass(frozen=True)
class Expected:
    """One promised result.

    Attributes:
        class_id: its class.
        score: 0 to 1.
        box: x1 y1 x2 y2 in the picture's pixels; None from a classifier.
    """

    class_id: int
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Golden:
    """One golden sample; see the module's docstring.

    Attributes:
        name: of the picture in the file.
        image: RGB uint8 (H, W, 3).
        expect: all results from the floor up, best first.
        floor: score under which results are not looked at.
        score: tolerance of a score.
        box: tolerance of a corner, in shares of the picture's sides.
    """

    name: str
    image: Image
    expect: tuple[Expected, ...]
    floor: float
    score: float
    box: float


@dataclass(frozen=True)
class Outcome:
    """How one sample went.

    Attributes:
        name: of the sample.
        problems: what is not as promised; empty if all is.
        deviation: largest difference of a promised score.
    """

    name: str
    problems: tuple[str, ...]
    deviation: float

    @property
    def passed(self) -> bool:
        return not self.problems


def load(path: Path) -> tuple[ModelSpec, tuple[Golden, ...]]:
    """The contract and the golden samples that a model file carries.

    Raises:
        ModelError: not a model, a damaged one, or one without golden samples.
    """
    spec = contract.read(path)
    if spec is None or not spec.golden:
        why = "carries no contract" if spec is None else "carries no golden samples"
        raise ModelError(f"{path} {why}", "only files made by edgecam-convert can be verified")
    appended = metadata.Appended(tflite.load(path).data)
    try:
        return spec, tuple(_sample(entry, appended) for entry in spec.golden)
    except ModelError as error:
        raise type(error)(f"{path}: {error.message}", error.remedy) from error


def _sample(entry: Mapping[str, Any], appended: metadata.Appended) -> Golden:
    name = str(entry.get("picture", ""))
    try:
        expect = tuple(_expected(row) for row in entry["expect"])
        crc = int(entry["crc32"])
        numbers = {key: float(entry[key]) for key in ("floor", "score", "box")}
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"golden sample {name!r} is not valid ({error})", _REMEDY) from error
    if not all(0 <= value <= 1 for value in numbers.values()):
        raise ContractError(f"golden sample {name!r} has tolerances outside of 0 to 1", _REMEDY)
    data = appended.read(name)
    if data is None:
        raise ContractError(f"golden sample {name!r} is not in the file", _REMEDY)
    return Golden(name, _decode(name, data, crc), expect, **numbers)


def _expected(row: Sequence[Any]) -> Expected:
    values = [float(value) for value in row]
    if len(values) not in (2, 6) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} numbers")
    if len(values) == 2:
        return Expected(int(values[0]), values[1])
    return Expected(int(values[0]), values[1], (values[2], values[3], values[4], values[5]))


def _decode(name: str, data: bytes, crc: int) -> Image:
    try:
        if max(jpeg.size(data)) > MAX_SIDE:
            raise ContractError(f"golden sample {name!r} is over {MAX_SIDE} pixels wide or high", _REMEDY)
        image = jpeg.decode(data)
    except FrameError as error:
        raise ContractError(f"golden sample {name!r}: {error.message}", _REMEDY) from error
    if fingerprint(image) != crc:
        remedy = "download or copy the file again; if that does not help, this machine decodes JPEG otherwise"
        raise ContractError(f"golden sample {name!r} has not the pixels it was made with", remedy)
    return image


def fingerprint(image: Image) -> int:
    """CRC-32 of a picture's pixels."""
    return zlib.crc32(np.ascontiguousarray(image).tobytes())


def lowest(samples: Sequence[Golden]) -> float:
    """The threshold at which a decoder must report for these samples."""
    return max(0.0, min(sample.floor - sample.score for sample in samples))


def results(result: Result) -> list[Expected]:
    """A decoder's results as plain values, best first."""
    order = np.argsort(-result.score, kind="stable")
    boxes = result.xyxy.tolist() if isinstance(result, Detections) else None
    return [
        Expected(
            int(result.class_id[i]),
            float(result.score[i]),
            None if boxes is None else (boxes[i][0], boxes[i][1], boxes[i][2], boxes[i][3]),
        )
        for i in order
    ]


def promise(sample: Golden, labels: Sequence[str] = ()) -> str:
    """What a sample promises, for people: its best result and how many more there are."""
    if not sample.expect:
        return "nothing"
    more = len(sample.expect) - 1
    return _text(sample.expect[0], labels) + (f" and {more} more" if more else "")


def check(sample: Golden, result: Result, labels: Sequence[str] = ()) -> Outcome:
    """Hold a result against what the sample promises.

    Every promised result that stands clear of the floor must be there, with its score and box within the
    tolerances; no other may stand clear of the floor; and the best must be of the promised class.

    Args:
        sample: the sample.
        result: what was decoded here, reported at :func:`lowest` or under it.
        labels: for the problems' wording.
    """
    left = results(result)
    clear = sample.floor + sample.score
    problems = []
    deviation = 0.0
    best = left[0].class_id if left else None
    if sample.expect and (sample.expect[0].box is None) != isinstance(result, Classification):
        return Outcome(sample.name, ("the result is of another kind",), 1.0)
    for wanted in sample.expect:
        found = partner(wanted, left, sample)
        if found is None:
            if wanted.score >= clear:
                problems.append(f"{_text(wanted, labels)} is missing{_instead(wanted, left)}")
                deviation = max(deviation, wanted.score)
            continue
        left.remove(found)
        deviation = max(deviation, abs(found.score - wanted.score))
        if abs(found.score - wanted.score) > sample.score:
            problems.append(f"{_text(wanted, labels)} has {found.score:.2f}")
    problems += [f"{_text(extra, labels)} was not promised" for extra in left if extra.score >= clear]
    if (
        sample.expect
        and sample.expect[0].score >= clear
        and best != sample.expect[0].class_id
        and not problems
    ):
        problems.append(f"{_text(sample.expect[0], labels)} is not the best answer")
    return Outcome(sample.name, tuple(problems), deviation)


def partner(wanted: Expected, left: Sequence[Expected], sample: Golden) -> Expected | None:
    """The result of the same class (and in the same place) that is nearest in score."""
    height, width = sample.image.shape[:2]
    same = [found for found in left if found.class_id == wanted.class_id]
    if wanted.box is not None:
        reach = sample.box * np.array([width, height, width, height])
        same = [f for f in same if (np.abs(np.subtract(f.box or (), wanted.box)) <= reach).all()]
    return min(same, key=lambda found: abs(found.score - wanted.score), default=None)


def _text(result: Expected, labels: Sequence[str]) -> str:
    label = labels[result.class_id] if 0 <= result.class_id < len(labels) else ""
    return f"{label or f'#{result.class_id}'} {result.score:.2f}"


def _instead(wanted: Expected, left: Sequence[Expected]) -> str:
    same = next((found for found in left if found.class_id == wanted.class_id), None)
    if same is None or same.box is None:
        return "" if same is None else f" (it has {same.score:.2f})"
    return f" (one lies at {', '.join(f'{v:.0f}' for v in same.box)})"
