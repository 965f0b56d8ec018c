"""Reading models: what needs no TensorFlow."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from converters import keras_io, source
from edgecam.errors import ModelError, UsageError

HERE = Path("model.keras")


@pytest.mark.parametrize(
    ("sides", "size", "shape"),
    [
        ((160, 128, 3), (), (160, 128, 3)),
        ((160, 128, 3), (160, 128), (160, 128, 3)),
        ((None, None, 3), (224, 192), (224, 192, 3)),
        ((None, 96, 1), (64, 96), (64, 96, 1)),
    ],
)
def test_the_input_gets_a_size(
    sides: tuple[int | None, ...], size: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    assert source.fixed(HERE, sides, size) == shape


def test_sizes_that_do_not_do() -> None:
    with pytest.raises(ModelError, match=r"any size, .* --input-size"):
        source.fixed(HERE, (None, None, 3), ())
    with pytest.raises(UsageError, match="takes pictures of 128x160, not 64x64"):
        source.fixed(HERE, (160, 128, 3), (64, 64))
    with pytest.raises(ModelError, match="not height x width"):
        source.fixed(HERE, (10,), ())
    with pytest.raises(ModelError, match=r"takes \? x 10 x 7"):
        source.fixed(HERE, (None, 10, 7), (10, 10))


def test_layers_of_ones_own_are_found_in_the_architecture(tmp_path: Path) -> None:
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "layers": [
                {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None},
                {"module": None, "class_name": "Swirl", "config": {}, "registered_name": "mine>Swirl"},
                {"module": "mine.layers", "class_name": "Twist", "config": {}},
                {"module": None, "class_name": "Swirl", "config": {}, "registered_name": "mine>Swirl"},
                {
                    "module": "builtins",
                    "class_name": "function",
                    "config": "relu",
                    "registered_name": "function",
                },
                {"module": "builtins", "class_name": "Twirl", "config": {}, "registered_name": "mine>Twirl"},
            ]
        },
    }
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert keras_io.custom_layers(keras_io.config(path)) == ["mine>Swirl", "Twist", "mine>Twirl"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 half", b"<html>"])
def test_what_is_no_keras_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="no Keras model, or damaged"):
        keras_io.config(path)


def test_kinds_that_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="of no known kind"):
        keras_io.load(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="does not exist"):
        keras_io.load(tmp_path / "none")


def test_the_file_with_custom_layers_may_fail(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import nowhere_to_be_found")
    with pytest.raises(UsageError, match="nowhere_to_be_found"):
        keras_io.load(tmp_path / "m.keras", custom=tmp_path / "mine.py")
