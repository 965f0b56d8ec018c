"""Metadata goes into real models without touching a byte of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters import flatmodel
from converters.embed import embed
from edgecam import tflite
from edgecam.contract import ModelSpec
from edgecam.errors import ModelError
from edgecam.types import Array
from tests.engines import writer

MODELS = Path(__file__).resolve().parent.parent.parent / "models"
NAMES = ("detect-coco", "classify-person", "classify-things10", "face")
FOREIGN = (
    "mobilenet_v1_0.25_128_quant",
    "coco_ssd_mobilenet_v1_1.0_quant",
    "mobilenet_v2_1.0_224_quant_edgetpu",
    "yolov8n_full_integer_quant_224",
)


def bundled(name: str) -> bytes:
    return (MODELS / f"{name}.tflite").read_bytes()


def answers(model: bytes) -> list[Array]:
    """Outputs for one fixed noisy picture."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    noise = np.random.default_rng(5).integers(0, 256, entry["shape"]).astype(entry["dtype"])
    interpreter.set_tensor(entry["index"], noise)
    interpreter.invoke()
    found = [interpreter.get_tensor(output["index"]).copy() for output in interpreter.get_output_details()]
    if len(found) == 4:  # the post-process leaves the rows behind its count as they were in memory
        found[:3] = [array[:, : int(found[3][0])] for array in found[:3]]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_model_lies_in_the_file_unchanged(name: str) -> None:
    whole = bundled(name)
    bare = flatmodel.bare(whole)
    assert len(bare) < len(whole)
    assert bare in whole
    assert flatmodel.metadata(bare) is None
    assert flatmodel.bare(bare) == bare


@pytest.mark.parametrize("name", NAMES)
def test_metadata_can_be_set_again_and_taken_off(name: str) -> None:
    bare = flatmodel.bare(bundled(name))
    once = flatmodel.with_metadata(bare, b"first")
    twice = flatmodel.with_metadata(once, b"second, and longer")
    assert flatmodel.metadata(once) == b"first"
    assert flatmodel.metadata(twice) == b"second, and longer"
    assert flatmodel.bare(twice) == bare
    assert flatmodel.with_metadata(bare, b"second, and longer") == twice


@pytest.mark.parametrize("name", NAMES)
def test_the_interpreter_gives_the_same_answers(name: str) -> None:
    whole = bundled(name)
    for with_contract, without in zip(answers(whole), answers(flatmodel.bare(whole)), strict=True):
        np.testing.assert_array_equal(with_contract, without)


@pytest.mark.real
@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_others_keep_every_byte(real: Path, name: str) -> None:
    model = (real / f"{name}.tflite").read_bytes()
    original = flatmodel.bare(model)
    spec = ModelSpec(name="x", task="classify", decoder="classify", labels=("a", "b"))
    count = len(tflite.parse(original).outputs)
    whole = embed(model, spec, [f"out{n}" for n in range(count)])
    assert flatmodel.bare(whole) == original
    before, after = tflite.parse(original), tflite.parse(whole)
    assert (after.inputs, after.outputs, after.operators) == (before.inputs, before.outputs, before.operators)
    assert after.custom_ops == before.custom_ops
    for key in before.metadata.keys() - {flatmodel.METADATA}:
        assert after.metadata[key] == before.metadata[key]


def test_outputs_are_put_in_the_order_of_their_names() -> None:
    model = flatmodel.bare(bundled("detect-coco"))
    names = ["boxes", "classes", "scores", "count"]
    assert flatmodel.order_outputs(model, names) == model
    turned = flatmodel.order_outputs(model, names[::-1])
    shapes = [tensor.shape for tensor in tflite.parse(turned).outputs]
    assert shapes == [(1,), (1, 100), (1, 100), (1, 100, 4)]
    assert flatmodel.order_outputs(turned, names) == model


@pytest.mark.parametrize("names", [["boxes", "classes", "scores"], ["boxes", "classes", "scores", "number"]])
def test_other_output_names_are_refused(names: list[str]) -> None:
    with pytest.raises(ModelError, match="boxes"):
        flatmodel.order_outputs(flatmodel.bare(bundled("detect-coco")), names)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"PK\x03\x04 and so on"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        flatmodel.with_metadata(data, b"x")


def test_a_batch_of_any_size_becomes_one() -> None:
    free = writer.identity((1, 4, 4, 3), signature=(-1, 4, -1, 3)).write()
    fixed = flatmodel.fixed_batch(free)
    assert tflite.parse(free).inputs[0].signature == (-1, 4, -1, 3)
    assert tflite.parse(fixed).inputs[0].signature == (1, 4, 4, 3)
    assert len(fixed) == len(free)
    assert flatmodel.fixed_batch(fixed) == fixed
    plain = writer.identity((1, 4, 4, 3)).write()
    assert flatmodel.fixed_batch(plain) == plain
