"""Data sets: what is read, refused, left out and said of it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from converters import dataset
from converters.dataset import Dataset
from edgecam.errors import EdgecamError, UsageError
from tests.conftest import REAL
from tests.helpers.datasets import as_csv, make_shapes, samples
from tests.helpers.pictures import class_folders, save, scene

COUNTS = {"cat": 30, "dog": 24, "eel": 18}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("pictures"), COUNTS)


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


def kinds(data: Dataset) -> list[str]:
    return [problem.kind for problem in data.problems]


def test_a_folder_for_each_class(folder: Path) -> None:
    data = dataset.load(folder)
    assert data.task == "classify"
    assert data.names == ("cat", "dog", "eel")
    assert [sum(column) for column in zip(*data.counts().values(), strict=True)] == [30, 24, 18]
    assert all(sample.path.parent.name == data.names[sample.class_id] for sample in samples(data))
    assert all(sample.path.is_absolute() for sample in samples(data))
    assert min(len(part) for part in data.parts().values()) >= 2
    assert data.problems == ()


def test_places_depend_on_content_and_seed_alone(folder: Path, own: Path) -> None:
    places = {
        sample.content: part for part, found in dataset.load(folder).parts().items() for sample in found
    }
    class_folders(own, {"ape": 12, "cat": 5}, first=500)
    for number, path in enumerate(sorted((own / "eel").iterdir())):
        path.rename(path.with_name(f"renamed {number}.jpg"))
    grown = {sample.content: part for part, found in dataset.load(own).parts().items() for sample in found}
    assert len(grown) == len(places) + 17
    assert {content: grown[content] for content in places} == places
    other = dataset.load(folder, seed=1)
    assert other.fingerprint != dataset.load(folder).fingerprint
    assert {s.content: p for p, found in other.parts().items() for s in found} != places


def test_no_picture_in_two_parts(folder: Path, own: Path) -> None:
    """However often copies of it lie about."""
    for path in sorted((own / "cat").iterdir())[:6]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    data = dataset.load(own)
    assert sorted(s.content for s in samples(data)) == sorted(
        s.content for s in samples(dataset.load(folder))
    )
    assert kinds(data) == ["duplicate"] * 6
    assert data.fingerprint == dataset.load(folder).fingerprint


def test_same_pixels_in_other_files_are_copies(own: Path) -> None:
    save(own / "cat" / "lossless.png", scene(900))
    save(own / "cat" / "lossless.bmp", scene(900))
    data = dataset.load(own)
    assert [(p.kind, Path(p.path).name, p.detail) for p in data.problems] == [
        ("duplicate", "lossless.png", f"copy (same pixels) of {own / 'cat' / 'lossless.bmp'}, left out")
    ]


def test_near_duplicates_stay_together(own: Path) -> None:
    for number in range(20):
        save(own / "dog" / f"small{number}.jpg", scene(30 + number, 40, 30))
    data = dataset.load(own)
    part = {sample.path.name: name for name, found in data.parts().items() for sample in found}
    assert all(part[f"small{n}.jpg"] == part[f"{30 + n}.jpg"] for n in range(20))
    assert len({part[f"small{n}.jpg"] for n in range(20)}) == 3
    assert kinds(data) == ["near"] * 20


def test_one_picture_with_two_labels_is_left_out(own: Path) -> None:
    shutil.copy(own / "cat" / "0.jpg", own / "dog" / "same.jpg")
    data = dataset.load(own)
    assert len(samples(data)) == sum(COUNTS.values()) - 1
    assert kinds(data) == ["conflict"]
    assert "'cat' and 'dog'" in str(data.problems[0])


def test_unreadable_pictures_are_named(own: Path) -> None:
    (own / "cat" / "0.jpg").write_bytes(b"")
    (own / "cat" / "1.jpg").write_text("<html>not found</html>")
    cut = own / "cat" / "2.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    (own / "cat" / "._3.jpg").write_bytes(b"a Mac's leftover")
    data = dataset.load(own)
    assert kinds(data) == ["unreadable"] * 3
    assert [Path(p.path).name for p in data.problems] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(samples(data)) == sum(COUNTS.values()) - 3


def test_a_fixed_camera_is_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"cat": 9, "dog": 9})
    background = scene(77, 160, 120)
    for number in range(15):
        frame = background.copy()
        frame[number : number + 6, number * 3 : number * 3 + 6] = 0
        save(root / "cat" / f"frame{number}.png", frame)
    data = dataset.load(root)
    assert any("15 of 33 pictures are nearly the same" in str(problem) for problem in data.problems)


def test_ready_parts_stay_and_leaks_are_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 40, "dog": 40})
    class_folders(tmp_path / "test", {"cat": 8, "dog": 8}, first=200)
    save(tmp_path / "train" / "cat" / "copy.jpg", scene(200))
    save(tmp_path / "train" / "dog" / "near.jpg", scene(208, 60, 45))
    data = dataset.load(tmp_path)
    assert {path.parent.parent.name for path in (s.path for s in data.test)} == {"test"}
    assert len(data.test) == 16
    assert len(data.train) + len(data.validation) == 80
    assert len(data.validation) > 3
    assert kinds(data) == ["leak", "leak"]
    assert {Path(p.path).name for p in data.problems} == {"copy.jpg", "near.jpg"}


def refused(source: Path, match: str, **options: object) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        dataset.load(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_sources_that_are_none(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "does not exist")
    refused(tmp_path, "holds no pictures")
    save(tmp_path / "flat.jpg", scene(1))
    refused(tmp_path, "holds its pictures in no class folder")
    (tmp_path / "data.zip").write_bytes(b"PK")
    refused(tmp_path / "data.zip", "unpack it")


def test_one_class(tmp_path: Path) -> None:
    refused(class_folders(tmp_path, {"cat": 9}), "one class, 'cat'")


def test_each_picture_in_two_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(9):
            save(tmp_path / name / f"{number}.png", scene(number))
    refused(tmp_path, "no picture is left, each is there with two labels")


def test_too_few(tmp_path: Path) -> None:
    refused(class_folders(tmp_path, {"cat": 9, "dog": 2}), "class 'dog' has 2 good pictures")


def test_none_left_to_judge_by(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 3})
    messages = set()
    for seed in range(20):
        try:
            dataset.load(tmp_path, seed=seed)
        except UsageError as error:
            messages.add(str(error).partition(": ")[2])
    assert any("6 pictures leave none for test" in message for message in messages)
    assert any("fell into training" in message for message in messages)


def test_nothing_but_broken_pictures(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "dog/2.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"broken")
    refused(tmp_path, "none of 2 pictures can be read")


def test_a_task_that_the_data_do_not_serve(folder: Path) -> None:
    refused(folder, "detect needs boxes", task="detect")


def test_the_model_s_labels_number_the_classes(folder: Path) -> None:
    data = dataset.load(folder, names=("background", "Dog", "eel", "fox", "CAT"))
    assert data.names == ("background", "Dog", "eel", "fox", "CAT")
    assert [sum(column) for column in zip(*data.counts().values(), strict=True)] == [0, 24, 18, 0, 30]


def test_labels_that_the_model_has_not(folder: Path) -> None:
    refused(
        folder,
        r"2 of the data's classes are not among the model's 2 labels \('cat', 'dog'\)",
        names=("eel", "rat"),
    )
    refused(folder, "did you mean 'dogs'", names=("cat", "dogs", "eel"))


def test_a_class_that_only_training_shows(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 20, "dog": 20})
    class_folders(tmp_path / "test", {"cat": 9}, first=100)
    assert "no test picture shows 'dog'" in str(dataset.load(tmp_path).problems[-1])


def test_to_json_and_back(folder: Path, tmp_path: Path) -> None:
    for source in (folder, as_csv(tmp_path, make_shapes(tmp_path))):
        data = dataset.load(source)
        again = Dataset.from_json(data.to_json())
        assert again.to_json() == data.to_json()
        assert (again.task, again.names, again.fingerprint) == (data.task, data.names, data.fingerprint)
        for one, other in zip(samples(data), samples(again), strict=True):
            assert (one.path, one.class_id, one.content) == (other.path, other.class_id, other.content)
            assert (one.truth is None) == (other.truth is None)
            if one.truth is not None and other.truth is not None:
                np.testing.assert_array_equal(one.truth.xyxy, other.truth.xyxy)
                np.testing.assert_array_equal(one.truth.class_id, other.truth.class_id)
                assert other.truth.class_id.dtype == np.int32


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "train": [{}]}'])
def test_a_split_that_is_damaged(text: str) -> None:
    with pytest.raises(EdgecamError, match=r"delete data\.json"):
        Dataset.from_json(text)


def test_calibration_takes_classes_in_turn(folder: Path) -> None:
    data = dataset.load(folder)
    chosen = dataset.calibration(data, 24)
    assert dataset.histogram(chosen, 3) == [8, 8, 8]
    assert {s.path for s in chosen} <= {s.path for s in data.train}
    assert len({s.path for s in chosen}) == 24
    assert [s.path for s in dataset.calibration(data, 24)] == [s.path for s in chosen]
    assert [s.path for s in dataset.calibration(data, 24, seed=1)] != [s.path for s in chosen]
    assert len(dataset.calibration(data, 1000)) == len(data.train)
    assert dataset.calibration(data, 25)[:24] == chosen


def test_calibration_with_boxes_shows_every_class_and_empty_pictures(tmp_path: Path) -> None:
    chosen = dataset.calibration(dataset.load(as_csv(tmp_path, make_shapes(tmp_path))), 9)
    assert len({s.path for s in chosen}) == 9
    assert sum(s.classes() == () for s in chosen) >= 2


def test_calibration_that_is_too_small_or_of_one_class(folder: Path) -> None:
    data = dataset.load(folder)
    (line,) = dataset.calibration_warnings(data, data.train[:1] * 50)
    name = data.names[data.train[0].class_id]
    assert line == f"all calibration pictures are of one class, {name!r}: the others may be ruined"
    few = dataset.calibration_warnings(data, dataset.calibration(data, 12))
    listed = ", ".join(f"{name} 4" for name in data.names)
    assert few == [f"only 12 calibration pictures ({listed}): ranges may be too narrow, 100 are usual"]
    assert dataset.calibration_warnings(data, dataset.calibration(data, 50)) == []


def test_outputs_that_the_classes_do_not_fill() -> None:
    dataset.check_outputs(("a", "b"), 2)
    with pytest.raises(UsageError, match=r"3 classes \(a, b, c\), the model has 1000 outputs"):
        dataset.check_outputs(("a", "b", "c"), 1000)


def unzipped(name: str, target: Path) -> Path:
    archive = REAL.parent / "data" / name
    if not archive.exists():
        pytest.skip(f"{archive} is absent: real data sets are not tried")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(target)
    return target / name.removesuffix(".zip")


@pytest.mark.real
def test_real_photographs_of_flowers(tmp_path: Path) -> None:
    """Three photographs lie both among the roses and the tulips; four pairs were shot in one burst."""
    data = dataset.load(unzipped("flowers5.zip", tmp_path))
    assert data.names == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert sorted(kinds(data)) == ["conflict"] * 3 + ["near"] * 4
    assert len(samples(data)) == 2250 - 6
    assert [len(part) for part in data.parts().values()] == [1554, 311, 379]
    assert dataset.histogram(dataset.calibration(data, 100), 5) == [20] * 5


@pytest.mark.real
def test_real_photographs_with_boxes(tmp_path: Path) -> None:
    root = unzipped("coco164.zip", tmp_path)
    data = dataset.load(root)
    assert data.task == "detect"
    assert len(data.names) == 80
    assert len(data.test) == 64
    assert sum(dataset.histogram(data.test, 80)) == 461
    assert len(data.train) + len(data.validation) == 100
    assert {p.kind for p in data.problems} == {"few"}
