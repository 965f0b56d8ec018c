"""Pictures with their truth, checked and split.

:func:`load` reads a folder for each class (:mod:`converters.data.folders`), CSV
(:mod:`converters.data.tables`), COCO JSON (:mod:`converters.data.coco_json`) or YOLO text
(:mod:`converters.data.yolo`); the split is that of :mod:`converters.data.split`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from converters.average_precision import Truth
from converters.data import build, split
from converters.data.entries import Problem as Problem
from converters.data.entries import Task
from edgecam.errors import EdgecamError, UsageError

MIN_CLASSES = 2
MIN_PER_CLASS = 3  # one for each part, if the dice fall so
MIN_CALIBRATION = 50
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and what it shows.

    Attributes:
        path: the file.
        class_id: row of the data set's names; -1 with ``truth``.
        truth: the objects, in pixels of the upright picture; None for a classifier's picture.
        content: sha256 of the file's bytes.
    """

    path: Path
    class_id: int = -1
    truth: Truth | None = None
    content: str = ""

    def classes(self) -> tuple[int, ...]:
        """The classes that it shows, ascending."""
        if self.truth is None:
            return (self.class_id,)
        return tuple(sorted({int(c) for c in self.truth.class_id}))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, split.

    Attributes:
        task: ``classify`` or ``detect``.
        names: what class ids mean.
        train: pictures to learn and to calibrate from.
        validation: pictures to choose by.
        test: pictures to judge by, seen by nothing before.
        fingerprint: sha256 of contents, truths and places: equal for equal data.
        problems: what was left out or looks wrong.
    """

    task: Task
    names: tuple[str, ...]
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    fingerprint: str = ""
    problems: tuple[Problem, ...] = ()

    def parts(self) -> dict[str, tuple[Sample, ...]]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def counts(self) -> dict[str, list[int]]:
        """Pictures (or objects, with boxes) of each class: part -> a number for each of ``names``."""
        return {part: histogram(samples, len(self.names)) for part, samples in self.parts().items()}

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it back."""
        content = {
            "format": FORMAT,
            "task": self.task,
            "names": list(self.names),
            "fingerprint": self.fingerprint,
            **{part: [_record(sample) for sample in samples] for part, samples in self.parts().items()},
            "problems": [[p.kind, p.path, p.detail] for p in self.problems],
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Dataset:
        """
        Raises:
            EdgecamError: not what :meth:`to_json` writes.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
            parts = {part: tuple(map(_sample, content[part])) for part in split.PARTS}
            problems = tuple(Problem(*problem) for problem in content["problems"])
            names = tuple(content["names"])
            return cls(content["task"], names, **parts, fingerprint=content["fingerprint"], problems=problems)
        except (ValueError, KeyError, TypeError) as error:
            raise EdgecamError(
                f"the split cannot be read ({error})", "make it again: delete data.json"
            ) from error


def _record(sample: Sample) -> dict[str, Any]:
    record: dict[str, Any] = {"path": str(sample.path), "content": sample.content}
    if sample.truth is None:
        return {**record, "class": sample.class_id}
    # JSON holds the shortest text of a float64, and every float32 is one: nothing is lost.
    return {**record, "classes": sample.truth.class_id.tolist(), "boxes": sample.truth.xyxy.tolist()}


def _sample(record: dict[str, Any]) -> Sample:
    path, content = Path(record["path"]), record["content"]
    if "class" in record:
        return Sample(path, int(record["class"]), None, content)
    boxes = np.asarray(record["boxes"], np.float32).reshape(-1, 4)
    return Sample(path, -1, Truth(boxes, np.asarray(record["classes"], np.int32)), content)


def load(
    source: Path,
    *,
    task: str | None = None,
    seed: int = 0,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    names: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read a data set, check every picture, split it.

    Args:
        source: a folder, a CSV file or a COCO JSON file.
        task: ``classify`` or ``detect`` if it must be that; None takes what the source holds.
        seed: another one gives another split.
        fractions: train, validation, test; for a source without ready parts.
        names: the model's labels, which class ids then index; None takes the source's own classes.
        progress: called with (pictures done, in all).

    Raises:
        UsageError: no pictures, one class, too few; the source's classes are not the model's; a broken list.
    """
    listing = build.listing(source)
    if task and task != listing.task:
        wants = "boxes" if task == "detect" else "a label for each picture"
        raise UsageError(f"{source} is for the task {listing.task}", f"{task} needs {wants}")
    built = build.collect(source, listing, split.check(fractions), seed, names, progress)
    parts = {
        part: tuple(
            Sample(item.path.absolute(), item.class_id, _truth(item), item.content)
            for item in built.items
            if item.part == part
        )
        for part in split.PARTS
    }
    found = Dataset(
        listing.task, built.names, **parts, problems=built.problems, fingerprint=built.fingerprint
    )
    _refuse(source, found)
    return replace(found, problems=found.problems + _gaps(found))


def _truth(item: build.Item) -> Truth | None:
    if item.boxes is None:
        return None
    xyxy = np.asarray([box for _, box in item.boxes], np.float32).reshape(-1, 4)
    return Truth(xyxy, np.asarray([class_id for class_id, _ in item.boxes], np.int32))


def _gaps(data: Dataset) -> tuple[Problem, ...]:
    """Classes of which something can be learnt but nothing judged."""
    counts = data.counts()
    unseen = [
        name
        for name, learnt, judged in zip(data.names, counts["train"], counts["test"], strict=True)
        if learnt and not judged
    ]
    if not unseen:
        return ()
    listed = ", ".join(map(repr, unseen[:5])) + (", ..." if len(unseen) > 5 else "")
    return (Problem("few", "", f"no test picture shows {listed}: how well it is known cannot be judged"),)


def _refuse(source: Path, data: Dataset) -> None:
    counts = data.counts()
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    shown = [i for i, total in enumerate(totals) if total]
    if data.task == "classify":
        if len(shown) < MIN_CLASSES:
            raise UsageError(
                f"{source}: all pictures are of one class, {data.names[shown[0]]!r}", "add another class"
            )
        rare = [i for i in shown if totals[i] < MIN_PER_CLASS]
        if rare:
            raise UsageError(
                f"{source}: class {data.names[rare[0]]!r} has {totals[rare[0]]} good pictures",
                f"each class needs {MIN_PER_CLASS} at the least, and some dozens to mean anything",
            )
        untaught = [i for i in shown if not counts["train"][i]]
        if untaught:
            raise UsageError(
                f"{source}: no picture of class {data.names[untaught[0]]!r} fell into training",
                "add pictures of it, or try another --seed",
            )
    elif not shown:
        raise UsageError(f"{source}: no picture shows an object", "check the boxes")
    for part in ("train", "test"):
        if not data.parts()[part]:
            raise UsageError(
                f"{source}: {sum(map(len, data.parts().values()))} pictures leave none for {part}",
                "add pictures, or try another --seed",
            )


def histogram(samples: Sequence[Sample], classes: int) -> list[int]:
    """Pictures (or objects, with boxes) of each class id below ``classes``."""
    counted: Counter[int] = Counter()
    for sample in samples:
        counted.update([sample.class_id] if sample.truth is None else sample.truth.class_id.tolist())
    return [counted[class_id] for class_id in range(classes)]


def calibration(dataset: Dataset, count: int, seed: int = 0) -> tuple[Sample, ...]:
    """Training pictures to calibrate on, as many of each class as there are.

    Classes take turns; each takes its next picture in an order that content and seed alone decide. Pictures
    without any object take part like a class. For boxes a picture counts for each class that it shows.

    Args:
        count: how many; all if there are fewer.
    """
    queues: dict[int, list[Sample]] = {}
    for candidate in sorted(dataset.train, key=lambda s: (split.key(s.content, seed + 1), str(s.path))):
        for class_id in candidate.classes() or (-1,):
            queues.setdefault(class_id, []).append(candidate)
    chosen: dict[Path, Sample] = {}
    turns: list[Iterator[Sample]] = [iter(queues[class_id]) for class_id in sorted(queues)]
    while turns and len(chosen) < count:
        for turn in list(turns):
            sample = next((s for s in turn if s.path not in chosen), None)
            if sample is None:
                turns.remove(turn)
            elif len(chosen) < count:
                chosen[sample.path] = sample
    return tuple(chosen.values())


def calibration_warnings(dataset: Dataset, chosen: Sequence[Sample], *, others: bool = False) -> list[str]:
    """What is likely to spoil a calibration on these pictures; one line each, with the class histogram.

    ``others`` than those of the data set, their classes not known.
    """
    counts = histogram(chosen, len(dataset.names))
    shown = [name for name, count in zip(dataset.names, counts, strict=True) if count]
    warnings = []
    if len(chosen) < MIN_CALIBRATION:
        most = sorted(zip(counts, dataset.names, strict=True), key=lambda pair: -pair[0])[:6]
        listed = ", ".join(f"{name} {count}" for count, name in most if count)
        listed += ", ..." if len(shown) > len(most) else ""
        of = f" ({listed})" if listed else ""
        warnings.append(
            f"only {len(chosen)} calibration pictures{of}: ranges may be too narrow, 100 are usual"
        )
    if dataset.task == "classify" and len(shown) == 1 and not others:
        warnings.append(f"all calibration pictures are of one class, {shown[0]!r}: the others may be ruined")
    return warnings


def check_outputs(names: Sequence[str], outputs: int) -> None:
    """Hold the classes of the data against the number of a classifier's outputs.

    Raises:
        UsageError: they differ.
    """
    if len(names) != outputs:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        remedy = "name the model's own labels by --labels FILE; the data may show some of them only"
        raise UsageError(
            f"the data has {len(names)} classes ({listed}), the model has {outputs} outputs", remedy
        )
