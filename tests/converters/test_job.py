"""What is converted: types, sizes, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters import job
from converters.job import Job
from converters.work import Work
from edgecam.errors import UsageError


@pytest.mark.parametrize(
    ("said", "size"),
    [(224, (224, 224)), ("224", (224, 224)), ("320x240", (240, 320)), ([240, 320], (240, 320)), ((), ())],
)
def test_sizes(said: Any, size: tuple[int, ...]) -> None:
    assert job.size(said) == size


@pytest.mark.parametrize("said", ["big", "1x2x3", 0, "7", "224x", [1, 2, 3], None, "99999"])
def test_what_is_no_size(said: Any) -> None:
    with pytest.raises(UsageError, match="input size"):
        job.size(said)


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"model": "a/flowers.keras"}, "flowers"),
        ({"model": "a/flowers_saved"}, "flowers_saved"),
        ({"model": "a/coco/model.json"}, "coco"),
        ({"model": "model.json"}, "model"),
        ({"model": "a/flowers.keras", "name": "roses"}, "roses"),
    ],
)
def test_the_name_of_the_final_file(values: dict[str, str], title: str) -> None:
    assert Job(**values).title == title


def test_a_job_comes_back(tmp_path: Path) -> None:
    work = Work(tmp_path)
    with pytest.raises(UsageError, match="is not a work folder"):
        job.load(work)
    said = job.from_mapping({"model": "m.keras", "input_size": "64x48", "seed": 3, "allow_lambda": True})
    job.save(work, said)
    assert job.load(work) == said
    assert said.input_size == (48, 64)


@pytest.mark.parametrize("values", [{"model": 3}, {"seed": "1"}, {"seed": True}, {"allow_lambda": 1}])
def test_wrong_types_are_named(values: dict[str, Any]) -> None:
    (key,) = values
    with pytest.raises(UsageError, match=key):
        job.from_mapping(values)
