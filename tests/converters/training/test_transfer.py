"""Weights carried over by name and shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters.training import networks
from edgecam.errors import EdgecamError, ModelError, UsageError
from tests.converters.training.pictures import Remembering

pytestmark = pytest.mark.convert


def same(a: Any, b: Any) -> bool:
    return all((x == y).all() for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_base_within_another_model_is_carried_over(tmp_path: Path, suffix: str) -> None:
    """As people save it: keras.applications as one layer, a head of their own behind."""
    import keras

    from converters.training import transfer

    base = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    theirs = keras.Sequential([base, keras.layers.Dense(19, activation="softmax", name="breeds")])
    path = tmp_path / f"theirs{suffix}"
    theirs.save(path)
    ours = networks.build("mobilenet_v2", 5, (32, 32), width=0.35)
    report = Remembering()
    assert transfer.carry_over(ours, str(path), report) == ("logits",)
    assert report.lines == [
        f"weights: 104 of 105 layers carried over from {path}",
        "weights: 1 layers are not in it and begin anew: logits",
        "weights: 1 layers of it were not used: breeds",
    ]
    for name in ("Conv1", "block_3_depthwise_BN", "block_16_project"):
        assert same(ours.get_layer(name), base.get_layer(name))


def test_shapes_that_differ_begin_anew(tmp_path: Path) -> None:
    from converters.training import files, transfer

    path = tmp_path / "source.keras"
    files.save_model(networks.build("cnn", 3), path)
    target = networks.build("cnn", 7)
    report = Remembering()
    assert transfer.carry_over(target, str(path), report) == ("logits",)
    assert "weights: 1 layers differ in shape and begin anew: logits" in report.lines
    with pytest.raises(ModelError, match="no layer fits squeezenet by name and shape: it has conv1, conv2"):
        transfer.carry_over(networks.build("squeezenet", 3, width=0.25), str(path), report)


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    from converters.training import files

    with pytest.raises(ModelError, match=r"gone.keras does not exist"):
        files.load_model(tmp_path / "gone.keras")
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"no zip")
    with pytest.raises(ModelError, match=r"broken.keras cannot be read"):
        files.load_model(broken)
    assert files.note(broken) == {}


def test_imagenet_where_the_machine_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from converters.training import transfer

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def fetch(*args: Any, **more: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fetch)
    assert keras.utils.get_file is not None
    with pytest.raises(EdgecamError, match=r"no weights of mobilenet_v1 for ImageNet .*--weights"):
        transfer.carry_over(networks.build("mobilenet_v1", 3, width=0.25), "imagenet", Remembering())
    with pytest.raises(UsageError, match="no weights for ImageNet for plain"):
        transfer.carry_over(networks.build("plain", 3), "imagenet", Remembering())


def test_the_note_stays_in_the_file_and_keras_reads_it(tmp_path: Path) -> None:
    from converters import keras_io
    from converters.training import files

    model = networks.build("cnn", 3)
    path = tmp_path / "model.keras"
    files.save_model(model, path, {"names": ["ä", "b"], "network": "cnn"})
    assert files.note(path) == {"names": ["ä", "b"], "network": "cnn"}
    assert same(files.load_model(path), model)
    assert keras_io.load(path).scaling == "Rescaling"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]
