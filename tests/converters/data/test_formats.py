"""The formats that data sets come in: what is read, and what is wrong with a list."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from converters import dataset
from edgecam.errors import UsageError
from tests.helpers.datasets import (
    Truths,
    as_coco,
    as_csv,
    as_yolo,
    check_shapes,
    make_shapes,
    samples,
    write_csv,
)
from tests.helpers.pictures import class_folders, save, scene


def refused(source: Path, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        dataset.load(source)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("pictures"), {"cat": 30, "dog": 24})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truths]:
    root = tmp_path_factory.mktemp("shapes")
    return root, make_shapes(root)


def test_csv_of_labels(folder: Path, tmp_path: Path) -> None:
    lines = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.jpg"))]
    data = dataset.load(write_csv(tmp_path / "list.csv", lines))
    assert data.fingerprint == dataset.load(folder).fingerprint
    headed = dataset.load(write_csv(tmp_path / "headed.csv", ["path,label", *lines]))
    assert headed.fingerprint == data.fingerprint


def test_csv_that_says_the_split(folder: Path, tmp_path: Path) -> None:
    lines = [
        f"{(n % 2 and 'train') or 'test'},{p},{p.parent.name}"
        for n, p in enumerate(sorted(folder.rglob("*.jpg")))
    ]
    data = dataset.load(write_csv(tmp_path / "list.csv", ["split,path,label", *lines]))
    assert len(data.test) == len(lines) // 2


@pytest.mark.parametrize("write", [as_csv, as_coco, as_yolo])
def test_boxes(write: Callable[[Path, Truths], Path], shapes: tuple[Path, Truths], tmp_path: Path) -> None:
    root = Path(shutil.copytree(shapes[0], tmp_path / "shapes"))
    data = dataset.load(write(root, shapes[1]))
    check_shapes(data, shapes[1])
    if write is as_coco:
        assert [str(p).partition(": ")[2] for p in data.problems] == ["1 crowd regions left out"]


def test_yolo_with_images_and_labels_apart(shapes: tuple[Path, Truths], tmp_path: Path) -> None:
    root = Path(shutil.copytree(shapes[0], tmp_path / "set"))
    as_yolo(root, shapes[1])
    (root / "data.yaml").write_text('names: [disc, "bar"]\n')
    for kind, suffix in (("images", ".png"), ("labels", ".txt")):
        for part, test in (("train", lambda n: n % 4), ("val", lambda n: not n % 4)):
            (root / kind / part).mkdir(parents=True)
            for path in [p for p in root.glob(f"*{suffix}") if test(int(p.stem))]:
                path.rename(root / kind / part / path.name)
    data = dataset.load(root)
    check_shapes(data, shapes[1])
    assert sorted(int(s.path.stem) for s in data.test) == list(range(0, 40, 4))


def test_coco_with_a_list_in_each_part(shapes: tuple[Path, Truths], tmp_path: Path) -> None:
    """The layout of Roboflow's exports."""
    for part, test in (
        ("train", lambda n: n % 4),
        ("valid", lambda n: n % 8 == 4),
        ("test", lambda n: n % 8 == 0),
    ):
        (tmp_path / part).mkdir()
        truth = {name: boxes for name, boxes in shapes[1].items() if test(int(name.removesuffix(".png")))}
        for name in truth:
            shutil.copy(shapes[0] / name, tmp_path / part / name)
        as_coco(tmp_path / part, truth).rename(tmp_path / part / "_annotations.coco.json")
    data = dataset.load(tmp_path)
    check_shapes(data, shapes[1])
    assert [len(part) for part in (data.train, data.validation, data.test)] == [30, 5, 5]


def test_boxes_that_are_no_good(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number}.png", scene(number, 64, 48))
    good = [f"{number}.png,disc,1,1,9,9" for number in range(12)]
    wrong = ["0.png,disc,5,5,5,9", "0.png,disc,nan,1,4,4", "0.png,disc,90,5,99,9", "1.png,disc,-5,40,70,60"]
    data = dataset.load(write_csv(tmp_path / "boxes.csv", [*good, *wrong]))
    assert [str(p).rpartition("/")[2] for p in data.problems if p.kind == "box"] == [
        "0.png: 2 boxes without area, left out",
        "0.png: 1 boxes outside the picture, left out",
    ]
    clipped = next(s for s in samples(data) if s.path.name == "1.png").truth
    assert clipped is not None
    assert clipped.xyxy.tolist() == [[1, 1, 9, 9], [0, 40, 64, 48]]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ([], "empty"),
        (["a.jpg"], "line 1 has 1 values"),
        (["a.jpg,cat", "b.jpg,dog,4"], "line 2 has 3 values, expected 2"),
        (["a.jpg,cat", "b.jpg,"], "line 2 has no label"),
        (["path,label", ",cat"], "line 2 has no path"),
        (["path,name"], "columns path, name"),
        (["path,label,x1"], "columns path, label, x1"),
        (["path,label,split", "a.jpg,cat,later"], "split 'later'"),
        (["a.jpg,cat,1,2,x,4"], "line 1: corners that are no numbers"),
        (["a.jpg,,1,2,3,4"], "a box without a label"),
        (["a.jpg,cat,,,,"], "a label without a box"),
        (["path,label"], "holds no pictures"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, lines: list[str], match: str) -> None:
    refused(write_csv(tmp_path / "list.csv", lines), match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a COCO file"),
        ('{"images": [], "annotations": {}, "categories": []}', "is not a COCO file"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "no 'file_name'"),
        (
            '{"images": [], "annotations": [{"image_id": 1, "category_id": 2}], "categories": []}',
            "image 1",
        ),
    ],
)
def test_coco_that_is_wrong(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "boxes.json").write_text(content)
    refused(tmp_path / "boxes.json", match)


@pytest.mark.parametrize(
    ("line", "match"),
    [("0 .5 .5 .1", "line 1 is not"), ("2 .5 .5 .1 .1", "class 2 of 2"), ("0.5 1 1 1 1", "class 0.5")],
)
def test_yolo_that_is_wrong(tmp_path: Path, line: str, match: str) -> None:
    save(tmp_path / "a.png", scene(1))
    (tmp_path / "names.txt").write_text("disc\nbar\n")
    (tmp_path / "a.txt").write_text(line)
    refused(tmp_path, match)


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"a.jpg,\xff\xfe")
    refused(tmp_path / "list.csv", "not UTF-8")
