"""``edgecam image``: copies, JSON, and pictures that are none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from edgecam import jpeg
from edgecam.sources.images import load_picture
from tests.cli.conftest import Run


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    """A picture in which there is nothing."""
    path = tmp_path / "in" / "gray.jpg"
    path.parent.mkdir()
    path.write_bytes(jpeg.encode(np.full((120, 160, 3), 128, np.uint8)))
    return path


@pytest.mark.real
def test_results_and_an_annotated_copy(edgecam: Run, real: Path, tmp_path: Path) -> None:
    ran = edgecam("image", real / "bus.jpg", "--out", tmp_path / "new" / "out")
    assert ran.code == 0
    found = json.loads(ran.out)
    (picture,) = found["pictures"]
    assert (found["model"], found["skipped"]) == ("detect-coco", [])
    assert picture["name"] == str(real / "bus.jpg")
    assert {"bus", "person"} <= {row["label"] for row in picture["detections"]}
    assert picture["annotated"] == str(tmp_path / "new" / "out" / "bus-annotated.jpg")
    before, after = load_picture(real / "bus.jpg"), load_picture(Path(picture["annotated"]))
    assert before.shape == after.shape
    x1, _, x2, y2 = map(int, next(r["box"] for r in picture["detections"] if r["label"] == "bus"))
    # The box's sides are drawn, and far from any box the picture is what it was.
    edge = np.abs(before[y2 - 2 : y2 + 2, x1:x2].astype(int) - after[y2 - 2 : y2 + 2, x1:x2])
    assert edge.max(axis=(0, 2)).mean() > 40
    corner = np.abs(before[:60, :60].astype(int) - after[:60, :60])
    assert corner.mean() < 6


def test_the_input_is_never_touched(edgecam: Run, gray: Path) -> None:
    digest = hashlib.sha256(gray.read_bytes()).hexdigest()
    awkward = gray.with_name("x-annotated.jpg")
    gray.with_name("x.jpg").write_bytes(gray.read_bytes())
    awkward.write_bytes(gray.read_bytes())
    ran = edgecam("image", awkward, gray.with_name("x.jpg"), gray, "--out", gray.parent)
    assert ran.code == 0
    for path in (gray, awkward, gray.with_name("x.jpg")):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    written = [Path(picture["annotated"]).name for picture in json.loads(ran.out)["pictures"]]
    assert written == ["x-annotated-annotated.jpg", "x-annotated-2.jpg", "gray-annotated.jpg"]


def test_pictures_of_one_name_from_two_folders(edgecam: Run, gray: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "gray.jpg"
    other.parent.mkdir()
    other.write_bytes(gray.read_bytes())
    edgecam("image", gray, other, "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "gray-annotated-2.jpg",
        "gray-annotated.jpg",
    ]


def test_a_folder_in_natural_order(edgecam: Run, gray: Path, tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", ".hidden.jpg", "notes.txt"):
        (gray.parent / name).write_bytes(gray.read_bytes())
    ran = edgecam("image", gray.parent, "--no-copies")
    names = [Path(picture["name"]).name for picture in json.loads(ran.out)["pictures"]]
    assert names == ["9.jpg", "10.jpg", "gray.jpg"]
    assert "annotated" not in json.loads(ran.out)["pictures"][0]


def test_results_into_a_file(edgecam: Run, gray: Path, tmp_path: Path) -> None:
    ran = edgecam("image", gray, "--no-copies", "--json", tmp_path / "results.json")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads((tmp_path / "results.json").read_text())["pictures"][0]["size"] == [160, 120]


def test_results_do_not_replace_a_picture(edgecam: Run, gray: Path) -> None:
    ran = edgecam("image", gray, "--no-copies", "--json", gray)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert load_picture(gray).shape == (120, 160, 3)


def test_a_broken_picture_is_skipped_counted_and_named(edgecam: Run, gray: Path, tmp_path: Path) -> None:
    broken = gray.with_name("broken.jpg")
    broken.write_bytes(gray.read_bytes()[:200])
    ran = edgecam("image", broken, gray, tmp_path / "absent.png", "--out", tmp_path / "out")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert [row["name"] for row in found["skipped"]] == [str(broken), str(tmp_path / "absent.png")]
    assert [row["name"] for row in found["pictures"]] == [str(gray)]
    assert str(broken) in ran.err
    assert "2 of 3 pictures could not be read" in ran.err


def test_a_name_that_is_no_text(process: Run, gray: Path, tmp_path: Path) -> None:
    awkward = gray.with_name("caf\udce9.jpg")
    awkward.write_bytes(gray.read_bytes())
    ran = process("image", awkward, "--out", tmp_path / "out")
    assert ran.code == 0
    assert json.loads(ran.out)["pictures"][0]["name"] == str(awkward)
    ran = process("image", awkward, "--no-copies", "--json", tmp_path / "results.json")
    assert ran.code == 0
    assert json.loads((tmp_path / "results.json").read_text())["pictures"][0]["name"] == str(awkward)


def test_not_one_picture_is_an_error(edgecam: Run, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("no picture")
    ran = edgecam("image", tmp_path / "x.jpg", "--out", tmp_path / "out")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_said(edgecam: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = edgecam("image", tmp_path / "empty")
    assert ran.code == 1
    assert ran.err.startswith(
        f"edgecam: folder {tmp_path}/empty holds no picture: expected files of kind .bmp"
    )


def test_copies_that_cannot_be_written(edgecam: Run, gray: Path) -> None:
    ran = edgecam("image", gray, "--out", gray / "below")
    assert ran.code == 1
    assert f"cannot write {gray}/below/gray-annotated.jpg (Not a directory)" in ran.err


@pytest.mark.real
def test_the_catalogues_flags_for_a_foreign_model(edgecam: Run, real: Path) -> None:
    ran = edgecam(
        *("image", real / "parrot.jpg", "--no-copies", "--model", real / "mobilenet_v2_1.0_224_quant.tflite"),
        *("--task", "classify", "--labels", real / "imagenet_labels.txt", "--top-k", "1"),
    )
    assert ran.code == 0
    (best,) = json.loads(ran.out)["pictures"][0]["classes"]
    assert best["label"] == "macaw"
