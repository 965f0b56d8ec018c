"""The step qat, and what the conversion makes of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import floatops, graph
from converters.work import Work
from edgecam.errors import ModelError, UsageError
from tests.converters.pruning.work import Heard, make, options

pytestmark = pytest.mark.convert


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return make(tmp_path_factory.mktemp("qat"))


def train(work: Work, **said: Any) -> tuple[dict[str, Any], Heard]:
    from converters.qat import jobs

    heard = Heard()
    chosen = options(work, "qat", **{"epochs": 2, "rate": 0.002, "pictures": 64, **said})
    return jobs.qat(heard, work=str(work.root), options=chosen, mark="m", out="qat.keras"), heard


def test_from_training_to_the_int8_file(work: Work) -> None:
    from converters import keras_io, recipes, tfconvert
    from converters.training import files

    found, heard = train(work)
    assert {"accuracy", "recall"} <= found["tuned"].keys()
    assert found["epochs"] == len(found["history"]) == 2
    assert any("rounded to int8 without training" in line for line in heard.lines)
    assert not work.path("qat").exists()
    path, before = work.path("qat.keras"), files.load_model(work.path("trained.keras"))
    assert not [layer for layer in files.load_model(path).layers if "Norm" in type(layer).__name__]
    note = files.note(path)
    assert note["network"] == "small"
    assert note["ranges"]["image"] == [0.0, 255.0]
    source = keras_io.load(path)
    pictures = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)
    data = tfconvert.convert(source, recipes.quantization("int8"), "classify", pictures)
    assert not floatops.float_operators(data)
    read = graph.read(data)
    low, high = note["ranges"]["logits"]
    logits = next(op for op in read.operators if op.name == "SOFTMAX").inputs[0]
    assert read.tensors[logits].scales[0] == pytest.approx((high - low) / 255, rel=1e-3)
    twin = tfconvert.convert(source, recipes.Quantization("float", ""), "classify")
    np.testing.assert_allclose(
        answer(twin, pictures[:1]), before(pictures[:1]), atol=1e-5
    )  # the network before
    dynamic = tfconvert.convert(source, recipes.quantization("dynamic"), "classify")
    kinds = {op.name for op in graph.read(dynamic).operators}
    assert kinds <= {"CONV_2D", "FULLY_CONNECTED", "MEAN", "SOFTMAX", "MUL"}  # nothing of the rounding


def test_without_the_network_before_the_twin_has_the_folded_weights(work: Work, tmp_path: Path) -> None:
    from converters import keras_io
    from converters.training import files

    note = files.note(work.path("qat.keras"))
    assert keras_io.load(work.path("qat.keras")).before is not None
    note["before"]["sha256"] = "another"
    model = files.load_model(work.path("qat.keras"))
    files.save_model(model, tmp_path / "moved.keras", note)
    source = keras_io.load(tmp_path / "moved.keras")
    assert source.before is None
    assert source.learnt is not None


def answer(data: bytes, pictures: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_zeros_of_a_pruning_stay(work: Work) -> None:
    from converters.pruning import sparse
    from converters.training import files

    model = files.load_model(work.path("trained.keras"))
    with sparse.held(model, sparse.masks(model, 0.6)):
        pass
    files.save_model(model, work.path("sparse.keras"), files.note(work.path("trained.keras")))
    train(work, model=str(work.path("sparse.keras")), epochs=1)
    trained = files.load_model(work.path("qat.keras"))
    assert sparse.zeros(trained) == pytest.approx(0.6, abs=0.01)
    assert not np.array_equal(
        trained.get_layer("logits").get_weights()[0], model.get_layer("logits").get_weights()[0]
    )


def test_ranges_of_another_network_are_refused(work: Work) -> None:
    from converters import keras_io
    from converters.training import files

    model = files.load_model(work.path("trained.keras"))
    for ranges, message in (({"nowhere": [0, 1]}, "'nowhere'"), ({"logits": [0, "x"]}, "cannot be read")):
        path = work.path("other.keras")
        files.save_model(model, path, {"ranges": ranges})
        with pytest.raises(ModelError, match=message):
            keras_io.load(path)


def test_options_that_make_no_sense(work: Work) -> None:
    for said, message in (
        ({"precision": "bfloat16"}, "float32"),
        ({"momentum_of_ranges": 1.0}, "momentum_of_ranges"),
        ({"model": ""}, "no model is named"),
        ({"model": str(work.path("none.keras"))}, "does not exist"),
    ):
        with pytest.raises((UsageError, ModelError), match=message):
            train(work, **said)


def test_both_are_steps_of_recipes(tmp_path: Path) -> None:
    from converters import recipes

    path = tmp_path / "mine.toml"
    steps = "".join(f'[[step]]\nrun = "{name}"\n' for name in ("data", "train", "prune", "qat", "quantize"))
    path.write_text(steps)
    assert [plan.step for plan in recipes.load(str(path)).steps][2:4] == ["prune", "qat"]
