"""The file beside a detector that tells what its outputs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import detector
from converters.detector import Detector, PostProcess, SsdGraph
from edgecam.errors import ModelError

ANCHORS = {"kind": "ssd", "strides": [16]}


@pytest.mark.parametrize(
    "told",
    [
        detector.ssd(ANCHORS, background=False, activation="softmax"),
        detector.ssd(ANCHORS, postprocess=None),
        detector.ssd(ANCHORS, postprocess=PostProcess(10, 0.1, 0.5, True, 5)),
        Detector(graph=SsdGraph(size=320)),
        Detector("ssd-postprocess", {"boxes": "a", "count": "b"}, {"threshold": 0.3}, None),
        Detector("yolov8", {"output": "x"}, {"labels": 3}, None),
    ],
)
def test_it_is_read_as_it_was_written(told: Detector, tmp_path: Path) -> None:
    path = tmp_path / "x.detector.json"
    told.write(path)
    assert detector.read(path) == told


def test_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "parts.v2").mkdir()
    assert detector.beside(tmp_path / "parts.keras") == tmp_path / "parts.detector.json"
    assert detector.beside(tmp_path / "parts.v2") == tmp_path / "parts.v2.detector.json"
    assert detector.beside(tmp_path / "parts.v2.keras") == tmp_path / "parts.v2.detector.json"
    assert detector.beside(Path("a/model.json")) == Path("a/model.detector.json")


def test_the_op_is_there_unless_it_is_refused() -> None:
    path = Path("x.detector.json")
    assert detector.from_dict({"anchors": ANCHORS}, path).postprocess == PostProcess()
    assert detector.from_dict({"anchors": ANCHORS, "postprocess": False}, path).postprocess is None
    assert detector.from_dict({"decoder": "ssd-postprocess"}, path).postprocess is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no JSON object"),
        ("{}", "names no anchors"),
        ('{"decoder": "ssd"}', "decoder 'ssd'"),
        ('{"decoder": "classify"}', "decoder 'classify'"),
        ('{"decoder": "yolov8"}', "without outputs"),
        ('{"anchors": {}, "bakground": false}', "did you mean 'background'"),
        ('{"anchors": {}, "outputs": ["boxes"]}', "outputs = "),
        ('{"anchors": {}, "outputs": {"box": "x"}}', "did you mean 'boxes'"),
        ('{"anchors": {}, "postprocess": {"iou_treshold": 1}}', "did you mean 'iou_threshold'"),
        ('{"anchors": {}, "postprocess": {"max_detections": 1.5}}', "max_detections = 1.5"),
        ('{"anchors": {}, "postprocess": {"score_threshold": -1}}', "score_threshold = -1"),
        ('{"anchors": {}, "postprocess": 3}', "postprocess = 3"),
        ('{"decoder": "ssd-postprocess", "postprocess": true}', "goes with ssd-anchors"),
        ('{"graph": {"sise": 300}}', "did you mean 'size'"),
    ],
)
def test_what_is_wrong_is_named(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.detector.json"
    path.write_text(content)
    with pytest.raises(ModelError) as refused:
        detector.read(path)
    assert said in str(refused.value)
    assert "x.detector.json" in str(refused.value)


def test_without_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing") as refused:
        detector.read(tmp_path / "x.detector.json")
    assert "--detector" in refused.value.remedy
