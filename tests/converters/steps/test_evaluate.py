"""The steps that judge and report, on bundled models that stand for a float twin and its variants."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import embed, steps, variants
from converters.average_precision import Truth
from converters.dataset import Dataset, Sample
from converters.evaluate import Predictor
from converters.job import Job
from converters.runner import complete
from converters.variants import Variant
from converters.work import Work
from edgecam import contract, jpeg
from edgecam.errors import UsageError
from edgecam.sources.images import load_picture
from edgecam.types import Classification, Detections
from tests.helpers.steps import Heard

ROOT = Path(__file__).resolve().parents[3]
PERSON, DETECTOR = ROOT / "models" / "classify-person.tflite", ROOT / "models" / "detect-coco.tflite"
WALL = ROOT / "edgecam" / "sources" / "assets" / "wall.jpg"
NAMES = ("person", "no person")


def run(work: Work, name: str, **said: Any) -> tuple[dict[str, Any], Heard]:
    step, heard = steps.load(name), Heard()
    figures = step.run(work, complete(step, Job(model="somewhere/parts.keras"), said), heard)
    json.dumps(figures, allow_nan=False)
    return figures, heard


def variant(name: str) -> Variant:
    return Variant(name, f"{name}.tflite", "", 1, 1, 1.0, "tensorflow 2.21.0", 1)


def prepared(folder: Path, data: Dataset, **models: Path) -> Work:
    work = Work(folder / "work")
    work.root.mkdir()
    for name, path in models.items():
        shutil.copy(path, work.path(f"{name}.tflite"))
    variants.write(work, [variant(name) for name in models if name != "float"])
    work.path("data.json").write_text(data.to_json(), encoding="utf-8")
    return work


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    """Pictures of both kinds; what the bundled model says of them is the truth."""
    folder = tmp_path_factory.mktemp("parts")
    wall = jpeg.decode(WALL.read_bytes())
    samples = []
    with Predictor(PERSON) as predictor:
        for n in range(48):
            y, x = divmod(n, 8)
            path = folder / f"{n}.jpg"
            path.write_bytes(jpeg.encode(np.ascontiguousarray(wall[y * 150 :, x * 240 :][:300, :300])))
            said = predictor(load_picture(path))
            assert isinstance(said, Classification)
            samples.append(Sample(path, int(said.class_id[0]), None, str(n)))
    assert {sample.class_id for sample in samples} == {0, 1}
    return tuple(samples)


@pytest.fixture
def work(tmp_path: Path, parts: tuple[Sample, ...]) -> Work:
    """A float twin, a variant that is as good, and one whose labels are exchanged."""
    spec = contract.read(PERSON)
    assert spec is not None
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(embed.embed(PERSON.read_bytes(), replace(spec, labels=NAMES[::-1]), ["scores"]))
    data = Dataset("classify", NAMES, parts, (), parts)
    return prepared(tmp_path, data, float=PERSON, good=PERSON, wrong=wrong)


def test_side_by_side_and_passed(work: Work) -> None:
    figures, heard = run(work, "evaluate", layers=1)
    assert list(figures["paths"].items()) == [
        ("float", "float.tflite"),
        ("good", "good.tflite"),
        ("wrong", "wrong.tflite"),
    ]
    assert figures["chosen"] == "good"
    assert figures["pictures"] == 48
    assert [figures["models"][name]["accuracy"]["top1"] for name in figures["paths"]] == [1.0, 1.0, 0.0]
    assert {name: entry["agreement"] for name, entry in figures["comparisons"].items()} == {
        "good": 1.0,
        "wrong": 0.0,
    }
    assert {name: entry["passed"] for name, entry in figures["verdicts"].items()} == {
        "good": True,
        "wrong": False,
    }
    assert figures["mistakes"] == []
    assert "gate_failed" not in figures
    assert list(figures["layers"]) == ["good"]
    assert sorted(figures["files"]) == ["float.tflite", "good.tflite", "wrong.tflite"]
    assert "good: good enough to ship" in heard.lines
    head, *rows = heard.lines[:4]
    columns = ["variant", "top-1", "points", "agrees", "size", "compressed", "latency", "gate"]
    assert head.split() == columns
    assert [row.split()[:4] for row in rows[1:]] == [
        ["good", "100.0%", "+0.0", "100.0%"],
        ["wrong", "0.0%", "-100.0", "0.0%"],
    ]
    assert [row.split()[-1] for row in rows] == ["ms", "passes", "fails"]
    ends = {row.index(" MB") for row in rows}
    assert len(ends) == 1, "numbers are set to the right"


def test_the_gate_is_for_what_is_shipped(work: Work) -> None:
    figures, heard = run(work, "evaluate", ship="wrong", layers=0)
    assert "wrong loses 100.0 points of top-1" in figures["gate_failed"]
    assert figures["chosen"] == "wrong"
    assert figures["layers"] == {}
    assert len(figures["mistakes"]) == 24
    assert all(entry["lost"] for entry in figures["mistakes"])
    assert "good enough" not in " ".join(heard.lines)
    assert (
        run(work, "evaluate", ship="wrong", layers=0, max_drop=100.0, max_class_drop=100.0)[0].get(
            "gate_failed"
        )
        is None
    )


def test_broken_test_pictures_are_told(tmp_path: Path, parts: tuple[Sample, ...]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    data = Dataset("classify", NAMES, parts, (), (*parts, Sample(broken, 0, None, "x")))
    figures, heard = run(prepared(tmp_path, data, float=PERSON, int8=PERSON), "evaluate", layers=0)
    assert figures["pictures"] == 48
    assert "1 test pictures cannot be read" in heard.warnings[0]
    assert str(broken) in heard.warnings[0]


def test_a_detector(tmp_path: Path) -> None:
    with Predictor(DETECTOR) as predictor:
        found = predictor(load_picture(WALL))
        assert isinstance(found, Detections)
        known = sorted({predictor.spec.labels[c] for c in found.class_id})
        ids = np.array([known.index(predictor.spec.labels[c]) for c in found.class_id], np.int32)
    samples = (Sample(WALL, truth=Truth(found.xyxy, ids)),)
    data = Dataset("detect", tuple(known), samples, (), samples)
    work = prepared(tmp_path, data, float=DETECTOR, int8=DETECTOR)
    figures, _ = run(work, "evaluate", layers=0)
    assert figures["models"]["int8"]["accuracy"]["ap50"] == 1.0
    assert figures["comparisons"]["int8"]["points"] == {"AP50": 0.0, "AP": 0.0}
    assert figures["verdicts"]["int8"]["passed"]
    work.finish("evaluate", "", figures)
    run(work, "report")
    assert "AP50" in work.path("report.html").read_text(encoding="utf-8")


def test_the_report_is_written_from_the_figures(work: Work) -> None:
    figures, _ = run(work, "evaluate", ship="wrong", layers=1)
    work.finish("evaluate", "", figures)
    made, heard = run(work, "report")
    assert made["files"] == ["report.html", "report.md"]
    page = work.path("report.html").read_bytes()
    assert made["bytes"] == len(page)
    assert page.count(b"data:image/jpeg;base64,") == 24
    assert b"<h1>parts</h1>" in page
    assert work.path("report.md").read_text(encoding="utf-8").startswith("# parts\n")
    assert heard.lines == [f"report: {work.path('report.html')}"]
    assert steps.load("report").always, "it is needed most where the gate fails"


def test_repair_is_for_int8_of_tensorflow_only(work: Work) -> None:
    with pytest.raises(UsageError, match="wrong"):
        run(work, "evaluate", ship="wrong", layers=1, repair=True)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("data.json", "step data"), ("float.tflite", "step quantize"), ("variants.json", "step quantize")],
)
def test_steps_that_must_come_first(work: Work, missing: str, reason: str) -> None:
    work.path(missing).unlink()
    with pytest.raises(UsageError, match=reason):
        run(work, "evaluate")


def test_no_such_variant(work: Work) -> None:
    with pytest.raises(UsageError, match=r"'best'.*good, wrong"):
        run(work, "evaluate", ship="best")


def test_no_report_before_judgement(work: Work) -> None:
    with pytest.raises(UsageError, match="step evaluate"):
        run(work, "report")
