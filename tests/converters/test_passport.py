"""Passports: report card and golden samples, written into the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters import dataset, flatmodel, passport
from converters.average_precision import Truth
from converters.dataset import Dataset, Sample
from converters.judging import figures as judging
from edgecam import contract, metadata, tflite, verify
from edgecam.errors import ContractError, UsageError
from tests.helpers.pictures import class_folders

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.load(class_folders(tmp_path_factory.mktemp("pictures"), {"cat": 40, "dog": 20}))


def test_sealed_and_read_again(tmp_path: Path) -> None:
    source = MODELS / "face.tflite"
    spec, samples = verify.load(source)
    report = {"date": "2026-01-02", "int8": {"ap50": 0.5}}
    path = tmp_path / "sealed.tflite"
    path.write_bytes(passport.seal(source.read_bytes(), spec, report, [s.image for s in samples], 3))
    again, sealed = verify.load(path)
    assert again.report == report
    assert len(sealed) == 3
    assert replace(again, report={}, golden=()) == replace(spec, report={}, golden=())
    assert flatmodel.bare(path.read_bytes()) == flatmodel.bare(source.read_bytes())
    assert metadata.Appended(path.read_bytes()).names == (
        "labels.txt",
        "edgecam.json",
        "golden/0.jpg",
        "golden/1.jpg",
        "golden/2.jpg",
    )


def test_the_same_twice(tmp_path: Path) -> None:
    source = MODELS / "classify-person.tflite"
    spec, samples = verify.load(source)
    pictures = [sample.image for sample in samples]
    made = [passport.seal(source.read_bytes(), spec, {}, pictures) for _ in range(2)]
    assert made[0] == made[1]
    assert metadata.Appended(passport.seal(made[0], spec, {})).names == ("labels.txt", "edgecam.json")


def test_roles_by_name_and_by_index() -> None:
    data = flatmodel.bare((MODELS / "face.tflite").read_bytes())
    spec = contract.read(MODELS / "face.tflite")
    assert spec is not None
    assert passport.roles(data, spec) == ["boxes", "scores"]
    assert passport.roles(data, replace(spec, outputs={"scores": "1", "boxes": "0"})) == ["boxes", "scores"]
    with pytest.raises(ContractError, match="has no role"):
        passport.roles(data, replace(spec, outputs={"boxes": "0"}))


def test_the_only_output_of_a_classifier_needs_no_role() -> None:
    data = (MODELS / "classify-person.tflite").read_bytes()
    spec = contract.read(MODELS / "classify-person.tflite")
    assert spec is not None
    assert passport.roles(data, replace(spec, outputs={})) == ["scores"]
    name = tflite.parse(data).outputs[0].name
    assert passport.roles(data, replace(spec, outputs={"scores": name})) == ["scores"]


def test_the_report_card(data: Dataset) -> None:
    chosen = {"cat": 10, "dog": 10, "eel": 0}
    card = passport.card(
        data, chosen, {"float": {"top1": 0.9}, "int8": {"top1": 0.89}}, "tf 2.21", "2026-01-02"
    )
    assert card == {
        "date": "2026-01-02",
        "data": {
            "fingerprint": data.fingerprint,
            "pictures": {
                "train": len(data.train),
                "validation": len(data.validation),
                "test": len(data.test),
            },
        },
        "float": {"top1": 0.9},
        "int8": {"top1": 0.89},
        "converter": "tf 2.21",
        "calibration": {"pictures": 20, "histogram": {"cat": 10, "dog": 10}},
    }
    assert "calibration" not in passport.card(data, None, {}, "tf 2.21")


def test_very_many_classes_are_summed_up() -> None:
    per_class = {f"n{n}": n % 4 for n in range(500)}
    assert passport.histogram(per_class) == {"classes": 375, "least": 0, "most": 3}


def test_figures_to_carry_along() -> None:
    accuracy = judging.of_scores(np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]), ("a", "b", "c", "d"))
    measured = dict.fromkeys(("invoke_ms", "total_ms", "p95_ms", "rate", "bare_rate"), 1.0)
    sizes = {"bytes": 1000, "compressed": 800, "macs": 5_000_000, "parameters": 900}
    judged = judging.Figures(
        "int8", "ab", accuracy=accuracy, threads="CPU x1", runtime="x", **sizes, **measured
    )
    kept = passport.figures(judged.as_dict())
    assert kept["top1"] == 0.75
    assert (kept["pictures"], kept["bytes"], kept["macs"]) == (4, 1000, 5_000_000)
    assert set(kept) == {"top1", "ece", "pictures", "bytes", "macs"}


def test_the_date_of_a_repeatable_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert passport.today() == "2023-11-14"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    assert len(passport.today()) == 10


def test_candidates_are_test_pictures_of_all_classes(data: Dataset) -> None:
    found = passport.candidates(data, count=6)
    assert len(found) == 6
    assert all(picture.shape == (36, 48, 3) for picture in found)


def test_candidates_of_a_detector(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 6})
    truth = Truth(np.array([[1, 1, 9, 9]], np.float32), np.array([0], np.int32))
    samples = tuple(Sample(path, truth=truth) for path in sorted(root.rglob("*.jpg")))
    assert len(passport.candidates(Dataset("detect", ("a",), (), (), samples), count=4)) == 4


def test_nothing_clear_is_an_error() -> None:
    source = MODELS / "face.tflite"
    spec = contract.read(source)
    assert spec is not None
    with pytest.raises(UsageError, match="no golden sample"):
        passport.seal(source.read_bytes(), spec, {}, [np.zeros((9, 9, 3), np.uint8)])
