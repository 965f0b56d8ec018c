"""What the steps say before they train."""

from __future__ import annotations

from pathlib import Path

from converters.data.entries import Problem
from converters.dataset import Dataset, Sample
from converters.training import jobs


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
