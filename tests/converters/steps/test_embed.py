"""The step that writes the final file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from converters import golden, steps, variants
from converters.dataset import Dataset, Sample
from converters.job import Job
from converters.runner import complete
from converters.variants import Variant
from converters.work import Work
from edgecam import verify
from edgecam.errors import ModelError, UsageError
from tests.helpers.pictures import save
from tests.helpers.steps import Heard

MODEL = Path(__file__).resolve().parents[3] / "models" / "classify-person.tflite"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A work folder as the steps before leave it; the variants are one bundled model."""
    work = Work(tmp_path / "work")
    work.root.mkdir()
    spec, samples = verify.load(MODEL)
    for name in ("float", "int8", "dynamic"):
        shutil.copy(MODEL, work.path(f"{name}.tflite"))
    variants.write(
        work,
        [
            Variant(name, f"{name}.tflite", "", 1, 1, 1.0, "tensorflow 2.21.0", 1)
            for name in ("int8", "dynamic")
        ],
    )
    pictures = tuple(
        Sample(save(tmp_path / f"{n}.png", sample.image), sample.expect[0].class_id, None, str(n))
        for n, sample in enumerate(samples)
    )
    data = Dataset("classify", spec.labels, pictures, (), pictures, "f" * 64)
    work.path("data.json").write_text(data.to_json())
    calibration = {"pictures": 6, "per_class": {"person": 4, "no person": 2}, "histogram": []}
    work.finish("quantize", "x", {"calibration": calibration})
    return work


def judge(work: Work, chosen: str, paths: dict[str, str]) -> None:
    accuracy = {"top1": 0.87654, "top5": None, "ece": 0.1, "ap50": None, "ap": None, "pictures": 8}
    models = {name: {"accuracy": accuracy, "bytes": 10, "macs": 20} for name in paths}
    work.finish("evaluate", "x", {"models": models, "chosen": chosen, "paths": paths})


def run(work: Work, **said: Any) -> tuple[dict[str, Any], Heard]:
    step, heard = steps.load("embed"), Heard()
    return step.run(work, complete(step, Job(model="somewhere/parts.keras"), said), heard), heard


def test_the_judged_variant_gets_its_passport(work: Work) -> None:
    judge(work, "int8", {"float": "float.tflite", "int8": "int8.tflite", "dynamic": "dynamic.tflite"})
    figures, heard = run(work)
    path = work.path("parts.tflite")
    assert figures["files"] == ["parts.tflite"]
    assert figures["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    spec, samples = verify.load(path)
    assert figures["golden"] == len(samples) == 8
    assert spec.report == figures["report"]
    assert {**spec.report, "date": ""} == {
        "date": "",
        "data": {"fingerprint": "f" * 64, "pictures": {"train": 8, "validation": 0, "test": 8}},
        "float": {"top1": 0.8765, "ece": 0.1, "pictures": 8, "bytes": 10, "macs": 20},
        "int8": {"top1": 0.8765, "ece": 0.1, "pictures": 8, "bytes": 10, "macs": 20},
        "converter": "tensorflow 2.21.0",
        "calibration": {"pictures": 6, "histogram": {"person": 4, "no person": 2}},
    }
    assert heard.warnings == []
    assert heard.lines == [f"{path}: int8, {path.stat().st_size:,} bytes, 8 golden samples"]


def test_a_variant_that_is_asked_for(work: Work) -> None:
    judge(work, "int8", {"float": "float.tflite", "int8": "int8.tflite", "dynamic": "dynamic.tflite"})
    figures, _ = run(work, ship="dynamic", name="mine", golden=0)
    assert figures["files"] == ["mine.tflite"]
    assert figures["golden"] == 0
    assert "calibration" not in figures["report"]
    assert "dynamic" in figures["report"]


def test_a_repaired_variant(work: Work) -> None:
    shutil.copy(MODEL, work.path("int8-repaired.tflite"))
    judge(work, "int8-repaired", {"float": "float.tflite", "int8-repaired": "int8-repaired.tflite"})
    figures, _ = run(work, golden=2)
    assert figures["variant"] == "int8-repaired"
    assert figures["golden"] == 2
    assert figures["report"]["converter"] == "tensorflow 2.21.0"
    assert figures["report"]["calibration"]["pictures"] == 6


def test_without_judgement_there_are_no_figures(work: Work) -> None:
    figures, heard = run(work, golden=1)
    assert figures["variant"] == "int8"
    assert "int8" not in figures["report"]
    assert len(heard.warnings) == 1
    assert "has not been judged" in heard.warnings[0]


def test_a_model_that_is_sure_of_nothing_gets_no_samples(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden.Maker, "room", lambda self, said: 0.0)
    judge(work, "int8", {"float": "float.tflite", "int8": "int8.tflite"})
    figures, heard = run(work)
    assert figures["golden"] == 0
    assert "no golden samples: none of 8 pictures" in heard.warnings[0]
    with pytest.raises(ModelError, match="no golden samples"):
        verify.load(work.path("parts.tflite"))


def test_nothing_to_embed(tmp_path: Path, work: Work) -> None:
    with pytest.raises(UsageError, match="run the step data first"):
        run(Work(tmp_path / "empty"))
    with pytest.raises(UsageError, match="no variant 'int9'"):
        run(work, ship="int9")
    work.path("variants.json").unlink()
    with pytest.raises(UsageError, match="run the step quantize first"):
        run(work)


def test_a_variant_is_not_overwritten(work: Work) -> None:
    with pytest.raises(UsageError, match="name of a variant"):
        run(work, name="int8")
