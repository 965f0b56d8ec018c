"""What the steps say before they train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters import steps
from converters.average_precision import Truth
from converters.data.entries import Problem
from converters.dataset import Dataset, Sample
from converters.job import Job
from converters.runner import complete
from converters.training import jobs
from converters.work import Work
from edgecam.errors import UsageError
from tests.converters.training.pictures import Remembering


def data(counts: tuple[int, ...], *problems: Problem) -> Dataset:
    samples = tuple(Sample(Path(f"{c}-{n}.png"), c) for c, count in enumerate(counts) for n in range(count))
    return Dataset("classify", ("cat", "dog", "fox"), samples, (), samples, problems=problems)


def test_good_pictures_raise_no_doubt() -> None:
    assert jobs.doubts(data((40, 60, 50))) == []


def test_few_and_uneven_pictures_are_said() -> None:
    few, uneven = jobs.doubts(data((100, 10, 50)))
    assert few.startswith("few training pictures (dog 10)")
    assert uneven == 'classes have 10 to 100 training pictures: balance = "sample" helps the rare ones'


def test_classes_of_the_same_pictures_are_said() -> None:
    near = [
        Problem("conflict", f"{n}.png", f"nearly the same as dog/{n}.png, but labelled 'cat' and 'dog'")
        for n in range(2)
    ]
    exact = Problem("conflict", "x.png", "is also y.png: 'dog' and 'cat', left out")
    assert jobs.doubts(data((40, 40, 40), *near)) == []
    (doubt,) = jobs.doubts(data((40, 40, 40), *near, exact))
    assert doubt.startswith("3 pictures are of 'cat' and 'dog' at once")


@pytest.mark.convert
@pytest.mark.parametrize("name", ["distill", "prune", "qat"])
def test_what_is_for_classifiers_says_so_of_boxes(tmp_path: Path, name: str) -> None:
    from converters.pruning.jobs import prune
    from converters.qat.jobs import qat

    truth = Truth(np.zeros((1, 4), np.float32), np.zeros(1, np.int32))
    boxes = (Sample(Path("a.png"), -1, truth),)
    work = Work(tmp_path)
    work.write("data.json", Dataset("detect", ("cat", "dog"), boxes, (), boxes).to_json().encode())
    options = complete(steps.load(name), Job(model="detector.keras"), {"threads": 1})
    job = {"distill": jobs.distill, "prune": prune, "qat": qat}[name]
    with pytest.raises(UsageError, match=r"work on classifiers, these pictures have boxes: .*--width"):
        job(Remembering(), work=str(tmp_path), options=options, mark="", out=f"{name}.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]
