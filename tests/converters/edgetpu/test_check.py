"""Whole models: what would run where."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.edgetpu import check
from converters.edgetpu.check import AFTER
from edgecam.errors import ModelError
from tests.converters.edgetpu.graphs import NUMBERS, chain, tensor
from tests.engines.writer import FLOAT32, Model, Op

MODELS = Path(__file__).resolve().parents[3] / "models"


def places(model: bytes) -> str:
    """T for an operator on the Edge TPU, c for one on the CPU, a for one that comes after such."""
    entries = check.check(model).entries
    return "".join("T" if e.tpu else "a" if e.reason == AFTER else "c" for e in entries)


def test_all_after_the_first_unsupported_one_stay_on_the_cpu() -> None:
    assert places(chain("RELU", "LOGISTIC", "HARD_SWISH", "RELU", "LOGISTIC")) == "TTcaa"


def test_what_comes_before_does_no_harm() -> None:
    """A float input that is quantised first."""
    picture = tensor(1, 4, 4, 8, type=FLOAT32, quant=None)
    assert places(chain("QUANTIZE", "RELU", "LOGISTIC", first=picture)) == "cTT"
    assert places(chain("HARD_SWISH", "HARD_SWISH", "RELU", "HARD_SWISH", "RELU")) == "ccTca"


def test_another_branch_is_not_held_up() -> None:
    """Only what depends on the operator that cannot be mapped stays behind."""
    tensors = [tensor(1, 4, 4, 8) for _ in range(6)]
    ops = [
        Op(NUMBERS["RELU"], (0,), (1,)),
        Op(NUMBERS["HARD_SWISH"], (1,), (2,)),
        Op(NUMBERS["LOGISTIC"], (1,), (3,)),
        Op(NUMBERS["RELU"], (3,), (4,)),
        Op(NUMBERS["ADD"], (2, 4), (5,)),
    ]
    assert places(Model(tensors, [0], [5], ops).write()) == "TcTTa"


def test_summary_and_rows() -> None:
    found = check.check(chain("RELU", "RESHAPE", "HARD_SWISH", "RELU", "RELU"))
    assert (found.on_tpu, found.on_cpu) == (2, 3)
    assert found.summary == "2 of 5 operators would run on the Edge TPU, 3 on the CPU"
    assert found.rows() == [
        ("RELU", 1, "Edge TPU"),
        ("RESHAPE", 1, "Edge TPU (may stay on the CPU if the tensor is large)"),
        ("RELU", 2, f"CPU: {AFTER}"),
        ("HARD_SWISH", 1, "CPU: operator not supported"),
    ]
    assert found.as_dict()["on_cpu"] == 3
    assert found.as_dict()["operators"][2] == {
        "index": 2,
        "name": "HARD_SWISH",
        "tpu": False,
        "reason": "operator not supported",
        "doubt": "",
    }
    assert check.check(chain("RELU", "RELU")).summary == "all 2 operators would run on the Edge TPU"
    assert check.check(chain("HARD_SWISH")).summary == "none of 1 operators would run on the Edge TPU"


@pytest.mark.real
def test_a_model_that_google_has_compiled_whole(real: Path) -> None:
    """Of its 66 operators the compiler left none on the CPU: the compiled file is one operator."""
    found = check.check((real / "mobilenet_v2_1.0_224_quant.tflite").read_bytes())
    assert (found.on_tpu, found.on_cpu) == (66, 0)
    with pytest.raises(ModelError, match="compiled for the Edge TPU already"):
        check.check((real / "mobilenet_v2_1.0_224_quant_edgetpu.tflite").read_bytes())


@pytest.mark.real
def test_a_detector_keeps_its_post_process_on_the_cpu(real: Path) -> None:
    found = check.check((real / "coco_ssd_mobilenet_v1_1.0_quant.tflite").read_bytes())
    assert found.on_tpu == 63
    assert [(e.name, e.tpu) for e in found.entries][-1] == ("TFLite_Detection_PostProcess", False)


@pytest.mark.real
def test_a_softmax_over_many_rows_ends_it(real: Path) -> None:
    """YOLOv8's box decoding."""
    found = check.check((real / "yolov8n_full_integer_quant_224.tflite").read_bytes())
    broken = [e.name for e in found.entries if not e.tpu and e.reason != AFTER]
    assert broken == ["SOFTMAX"]
    assert found.on_tpu > 230


def test_a_float_model() -> None:
    found = check.check((MODELS / "face.tflite").read_bytes())
    assert found.on_tpu == 0


@pytest.mark.parametrize("data", [b"", b"not a model", chain("RELU")[:200]])
def test_what_is_no_model(data: bytes) -> None:
    with pytest.raises(ModelError):
        check.check(data)
