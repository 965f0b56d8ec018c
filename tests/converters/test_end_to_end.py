"""The whole way with TensorFlow: a network learns shapes, becomes int8, is judged, ruined, repaired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.work import Work
from edgecam import jpeg
from edgecam.errors import UsageError
from tests.helpers.steps import Heard

pytestmark = pytest.mark.convert

SIDE = 32
SHAPES = ("circle", "square", "triangle")
EACH = 130


def draw(rng: np.random.Generator, shape: int) -> np.ndarray[Any, Any]:
    """A bright shape of random colour, place and size on dark noise, uint8 (32, 32, 3)."""
    image = rng.integers(0, 90, (SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE] - rng.integers(10, 22, (2, 1, 1))
    r = rng.integers(5, 10)
    inside = (x * x + y * y < r * r, (abs(x) < r) & (abs(y) < r), (abs(x) < (y + r) / 2) & (abs(y) < r))
    image[inside[shape]] += rng.integers(60, 160, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each shape."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("shapes")
    for number, name in enumerate(SHAPES):
        (folder / name).mkdir()
        for n in range(EACH):
            (folder / name / f"{n}.jpg").write_bytes(jpeg.encode(draw(rng, number), 95))
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convolutional network that has learnt them."""
    import keras

    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(2)
    truth = np.arange(1200) % len(SHAPES)
    inputs = np.stack([draw(rng, shape) for shape in truth]).astype(np.float32) / 127.5 - 1
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(inputs, truth, epochs=12, batch_size=64, verbose=0)
    path = tmp_path_factory.mktemp("network") / "shapes.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def uneven(network: Path) -> Path:
    """The same function, but one channel is four thousand times larger than the others."""
    import keras

    model = keras.models.load_model(network)
    first, second = model.layers[1], model.layers[2]
    (weights, bias), (readers, last) = first.get_weights(), second.get_weights()
    weights[..., 5] *= 4000
    bias[5] *= 4000
    readers[:, :, 5, :] /= 4000
    first.set_weights([weights, bias])
    second.set_weights([readers, last])
    path = network.with_name("uneven.keras")
    model.save(path)
    return path


def convert(*arguments: object) -> int:
    """``edgecam-convert``; its exit code."""
    from converters.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def done(network: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The work folder of a finished conversion."""
    folder = tmp_path_factory.mktemp("work")
    code = convert("quantize", network, "--data", pictures, "--preprocess", "-1..1", "--work", folder)
    assert code == 0
    return Work(folder)


def test_a_good_model_passes(done: Work) -> None:
    found = done.figures("evaluate")
    assert found is not None
    assert found["models"]["float"]["accuracy"]["top1"] > 0.9
    assert found["verdicts"]["int8"]["passed"]
    assert found["comparisons"]["int8"]["agreement"] > 0.95
    assert "gate_failed" not in found
    int8, twin = found["models"]["int8"], found["models"]["float"]
    assert int8["macs"] == twin["macs"] == 16 * 16 * 16 * 27 + 8 * 8 * 24 * 144 + 8 * 8 * 32 * 216 + 32 * 3
    assert int8["parameters"] == twin["parameters"]
    assert int8["bytes"] < twin["bytes"]


def test_its_layers(done: Work) -> None:
    found = done.figures("evaluate")
    assert found is not None
    layers = found["layers"]["int8"]
    kinds = [layer["operator"] for layer in layers["layers"]]
    assert kinds == ["CONV_2D", "CONV_2D", "CONV_2D", "REDUCE_MAX", "FULLY_CONNECTED", "SOFTMAX"]
    assert layers["unmatched"] == []
    for layer in layers["layers"]:
        assert layer["own"] > 20
        assert layer["reached"] > 10
        if layer["macs"]:
            assert layer["weights"] > 30, "eight bits a channel"
    assert [len(layer["readers"]) for layer in layers["layers"]] == [1, 1, 1, 1, 1, 0]


def test_its_report(done: Work) -> None:
    page = done.path("report.html").read_text(encoding="utf-8")
    assert "good enough to ship" in page
    assert done.path("report.md").read_text(encoding="utf-8").startswith("# shapes")


def test_the_final_file(done: Work) -> None:
    """What is shipped is judged once more, and answers as the variant did."""
    from converters.dataset import Dataset
    from converters.judge import judge

    data = Dataset.from_json(done.path("data.json").read_text(encoding="utf-8"))
    found = done.figures("evaluate")
    assert found is not None
    again = judge(done.path("shapes.tflite"), data.test, data.names)
    assert again.accuracy.top1 == found["models"]["int8"]["accuracy"]["top1"]


def test_its_passport(done: Work, capsys: pytest.CaptureFixture[str]) -> None:
    """The device side holds the final file against the golden samples in it."""
    from edgecam import contract
    from edgecam.cli.app import execute

    spec = contract.read(done.path("shapes.tflite"))
    assert spec is not None
    data, found = done.figures("data"), done.figures("evaluate")
    assert data is not None
    assert found is not None
    assert spec.report["data"]["fingerprint"] == data["fingerprint"]
    assert (
        spec.report["calibration"]["pictures"] == sum(spec.report["calibration"]["histogram"].values()) == 100
    )
    for name in ("float", "int8"):
        assert spec.report[name]["top1"] == pytest.approx(found["models"][name]["accuracy"]["top1"], abs=1e-4)
    assert spec.report["converter"].startswith("tensorflow ")
    assert execute(["model", "verify", str(done.path("shapes.tflite"))]) == 0
    assert "all 8 golden samples" in capsys.readouterr().err


def test_mediapipe_takes_it(done: Work, tmp_path: Path) -> None:
    """Labels, normalisation and scores, as MediaPipe's image classifier reads them out of the file."""
    from PIL import Image

    from edgecam import verify
    from tests.helpers.ask_mediapipe import as_result, ask

    spec, samples = verify.load(done.path("shapes.tflite"))
    paths = [tmp_path / f"{number}.png" for number in range(len(samples))]
    for path, sample in zip(paths, samples, strict=True):
        Image.fromarray(sample.image).save(path)
    answers = ask(done.path("shapes.tflite"), "classify", paths, verify.lowest(samples))
    for sample, rows in zip(samples, answers, strict=True):
        assert verify.check(sample, as_result(rows, spec.labels, "classify"), spec.labels).problems == ()


def test_it_is_ready_for_the_edge_tpu(done: Work) -> None:
    assert convert("edgetpu", "--work", done.root, "--require", "all") == 0
    found = done.figures("edgetpu")
    assert found is not None
    assert found["file"] == "shapes.tflite"
    assert found["checked"]["on_cpu"] == 0


def test_a_wrongly_calibrated_model_is_refused(
    done: Work, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calibrated with pictures of a twentieth of their brightness."""
    import shutil

    from converters import recipes
    from converters.embed import embed_file
    from converters.quantize import Converter
    from edgecam import contract

    work = Work(tmp_path / "work")
    shutil.copytree(done.root, work.root)
    rng = np.random.default_rng(4)
    dark = np.stack([draw(rng, n % 3) for n in range(60)]).astype(np.float32) / 127.5 / 20
    with Converter() as converter:
        converter.load(network)
        converter.convert(recipes.quantization("int8"), tmp_path / "bare.tflite", calibration=dark)
    spec = contract.resolve(work.path("float.tflite"))
    embed_file(tmp_path / "bare.tflite", work.path("int8.tflite"), spec, ["scores"])
    capsys.readouterr()
    assert convert("evaluate", "--work", work.root) == 3
    said = capsys.readouterr().err
    assert "int8 loses" in said
    assert "points of top-1" in said
    found = work.figures("evaluate")
    assert found is not None
    assert not found["verdicts"]["int8"]["passed"]
    worst = max(layer["clipped"] for layer in found["layers"]["int8"]["layers"])
    assert worst > 0.05, "the layers say why"
    assert convert("evaluate", "--work", work.root, "--max-drop", "100", "--max-class-drop", "100") == 0
    assert convert("report", "--work", work.root) == 0


def test_an_uneven_network_is_repaired(
    uneven: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """int8 ruins it honestly: one scale for all channels. Float for two layers mends it."""
    arguments = ("--data", pictures, "--preprocess", "-1..1", "--work", tmp_path)
    assert convert("quantize", uneven, *arguments) == 3
    work = Work(tmp_path)
    found = work.figures("evaluate")
    assert found is not None
    assert found["models"]["float"]["accuracy"]["top1"] > 0.9
    assert found["models"]["int8"]["accuracy"]["top1"] < 0.7
    guilty = min(found["layers"]["int8"]["layers"], key=lambda layer: layer["own"])
    assert (guilty["index"], guilty["operator"]) == (1, "CONV_2D")
    assert "not good enough" in work.path("report.html").read_text(encoding="utf-8")

    capsys.readouterr()
    assert convert("evaluate", "--work", tmp_path) == 3, "the verdict stands though nothing is run again"
    assert "try --repair" in capsys.readouterr().err

    assert convert("quantize", uneven, *arguments, "--repair") == 0
    found = work.figures("evaluate")
    assert found is not None
    assert found["chosen"] == "int8-repaired"
    assert found["models"]["int8-repaired"]["accuracy"]["top1"] == pytest.approx(
        found["models"]["float"]["accuracy"]["top1"], abs=0.011
    )
    (tried,) = found["repair"]["tried"]
    assert (tried["layers"], tried["kept"], tried["passed"]) == (1, 2, True)
    assert found["models"]["int8-repaired"]["bytes"] > found["models"]["int8"]["bytes"]
    assert (work.figures("embed") or {})["variant"] == "int8-repaired"
    assert "good enough to ship" in work.path("report.html").read_text(encoding="utf-8")


def test_litert_s_quantizer_is_repaired_too(uneven: Path, pictures: Path, tmp_path: Path) -> None:
    arguments = ("--data", pictures, "--preprocess", "-1..1", "--work", tmp_path, "--recipes", "int8-litert")
    assert convert("quantize", uneven, *arguments, "--repair") == 0
    found = Work(tmp_path).figures("evaluate") or {}
    assert found["models"]["int8-litert"]["accuracy"]["top1"] < 0.7
    assert found["chosen"] == "int8-litert-repaired"
    assert found["verdicts"]["int8-litert-repaired"]["passed"]


def test_a_codebook_is_repaired_and_stays_one(uneven: Path, pictures: Path, tmp_path: Path) -> None:
    from converters import codebook, graph

    recipe = tmp_path / "few.toml"
    recipe.write_text(
        'weights = "int8"\nactivations = "int8"\nimage = "uint8"\ncodebook = 32\n', encoding="utf-8"
    )
    work = Work(tmp_path / "work")
    arguments = ("--data", pictures, "--preprocess", "-1..1", "--work", work.root, "--recipes", recipe)
    assert convert("quantize", uneven, *arguments, "--repair") == 0
    found = work.figures("evaluate") or {}
    assert found["models"]["few"]["accuracy"]["top1"] < 0.7
    assert found["chosen"] == "few-repaired"
    assert found["verdicts"]["few-repaired"]["passed"]
    model = work.path("uneven.tflite").read_bytes()
    repaired = graph.read(model)
    weights = [repaired.weights(op.inputs[1]) for op in repaired.operators if op.name == "CONV_2D"]
    assert [node and node.dtype for node in weights] == ["int8", "float32", "float32"]
    first = weights[0]
    assert first is not None
    ((at, size),) = codebook.graph_buffers(model, {first.buffer}).values()
    assert len(np.unique(np.frombuffer(model, np.int8, size, at))) <= 32


def test_what_cannot_be_repaired_is_said(done: Work) -> None:
    from converters import layers, repair

    with pytest.raises(UsageError, match="dynamic cannot be repaired: layers are kept in float only where"):
        repair.search(done, "dynamic", "x.tflite", layers.LayerReport(0, ()), lambda _: (True, 1.0), Heard())


def test_a_layer_kept_in_float_by_a_recipe_of_ones_own(network: Path, tmp_path: Path) -> None:
    from converters import graph, recipes
    from converters.quantize import Converter

    rng = np.random.default_rng(5)
    inputs = np.stack([draw(rng, n % 3) for n in range(60)]).astype(np.float32) / 127.5 - 1
    twin = recipes.Quantization("float", "")
    with Converter() as converter:
        converter.load(network)
        converter.convert(twin, tmp_path / "float.tflite")
        before = graph.read((tmp_path / "float.tflite").read_bytes())
        second = before.tensors[before.operators[1].outputs[0]].name
        recipe = replace(recipes.quantization("int8"), keep=(second,))
        converter.convert(recipe, tmp_path / "kept.tflite", calibration=inputs)
    after = graph.read((tmp_path / "kept.tflite").read_bytes())
    kinds = [(op.name, after.tensors[op.outputs[0]].dtype) for op in after.operators if op.name == "CONV_2D"]
    assert kinds == [("CONV_2D", "int8"), ("CONV_2D", "float32"), ("CONV_2D", "int8")]
    assert after.tensors[after.inputs[0]].dtype == after.tensors[after.outputs[0]].dtype == "uint8"
