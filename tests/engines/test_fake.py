"""The engine without an interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecam.engines.base import EngineOptions
from edgecam.engines.fake import FakeEngine
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import EngineError, ModelError
from edgecam.quant import dequantize
from edgecam.types import Array
from tests.engines import writer
from tests.engines.writer import T

Write = Callable[..., Path]


def load(path: Path) -> FakeEngine:
    return FakeEngine(EngineOptions(path))


def run(engine: FakeEngine) -> list[Array]:
    return list(engine.infer(np.zeros(engine.input.shape, engine.input.dtype)))


def ssd() -> writer.Model:
    outputs = [T("count", (1,)), T("boxes", (1, 4, 4)), T("scores", (1, 4)), T("classes", (1, 4))]
    op = writer.Op(writer.CUSTOM, (0,), (2, 4, 3, 1), custom="TFLite_Detection_PostProcess")
    return writer.Model([T("image", (1, 8, 8, 3), writer.UINT8), *outputs], [0], [1, 2, 3, 4], [op])


def test_a_detector_s_box_moves_round_and_comes_back(write: Write) -> None:
    engine = load(write(ssd()))
    boxes = []
    for _ in range(121):
        count, box, scores, classes = run(engine)
        assert (count.tolist(), classes.max(), scores[0, 0]) == ([1], 0, np.float32(0.9))
        boxes.append(box[0, 0])
        y1, x1, y2, x2 = box[0, 0]
        assert 0 <= x1 < x2 <= 1
        assert 0 <= y1 < y2 <= 1
    assert len({tuple(box) for box in boxes}) == 120
    assert np.array_equal(boxes[0], boxes[120])


def test_two_engines_say_the_same(write: Write) -> None:
    path = write(ssd())
    one, two = load(path), load(path)
    for _ in range(5):
        for a, b in zip(run(one), run(two), strict=True):
            assert np.array_equal(a, b)


def test_a_model_of_unknown_kind_finds_nothing(write: Write) -> None:
    engine = load(write(writer.identity(type=writer.INT8, quant=(0.5, -3))))
    (out,) = run(engine)
    assert (out.shape, out.dtype) == ((1, 4, 4, 3), np.int8)
    assert not dequantize(out, engine.outputs[0]).any()


def test_a_classifier_changes_its_mind(write: Write) -> None:
    import io
    import json
    import zipfile

    model = writer.identity((1, 1, 1, 3), writer.UINT8, (1 / 256, 0))
    contract = {"edgecam": 1, "task": "classify", "decoder": "classify", "input": {"mean": 0, "std": 1}}
    out = io.BytesIO(model.write())
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("edgecam.json", json.dumps(contract))
    path = write(model)
    path.write_bytes(out.getvalue())
    engine = load(path)
    best = [int(run(engine)[0].argmax()) for _ in range(120)]
    assert best == [0] * 30 + [1] * 30 + [2] * 30 + [0] * 30


def test_wrong_inputs_and_closing(write: Write) -> None:
    engine = load(write(ssd()))
    with pytest.raises(EngineError, match="expected uint8"):
        engine.infer(np.zeros((1, 8, 8, 3), np.float32))
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        run(engine)


def test_a_damaged_file_is_refused(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(write(ssd()).read_bytes()[:100])
    with pytest.raises(ModelError, match="truncated"):
        load(path)


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1_0.25_128_quant.tflite",
        "coco_ssd_mobilenet_v1_1.0_quant.tflite",
        "yolov8n_full_integer_quant_224.tflite",
    ],
)
def test_real_models_look_as_they_do_to_the_interpreter(real: Path, name: str, runtime: object) -> None:
    fake, true = load(real / name), LiteRTEngine(EngineOptions(real / name))
    assert fake.input == true.input
    assert fake.outputs == true.outputs
    assert [a.dtype for a in run(fake)] == [info.dtype for info in true.outputs]
