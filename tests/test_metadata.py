"""Standard TFLite Metadata, as other tools write it."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgecam import contract, metadata, tflite
from edgecam.contract import Overrides
from edgecam.errors import ModelError
from tests.engines import writer
from tests.engines.writer import Scalar, Vector, Writer

NORMALIZATION, IMAGE, RGB, GRAY, AXIS_LABELS, DESCRIPTIONS = 1, 2, 1, 2, 2, 1


def flatbuffer(color: int = RGB, file_type: int = AXIS_LABELS, **normalise: Any) -> bytes:
    """Metadata of a classifier, field numbers as in metadata_schema.fbs."""
    mean, std = normalise.get("mean", (127.5,)), normalise.get("std", (128.0,))
    image = {
        0: "image",
        3: {0: Scalar("B", IMAGE), 1: {0: Scalar("b", color)}},
        4: [{0: Scalar("B", NORMALIZATION), 1: {0: Vector("f", mean), 1: Vector("f", std)}}],
    }
    scores = {0: "score", 6: [{0: "names.txt", 2: Scalar("b", file_type)}]}
    top = {0: "Birds", 1: "Two birds", 2: "v1", 3: [{2: [image], 3: [scores]}], 4: "A. Author", 5: "CC0"}
    return bytes(Writer(top, b"M001").data)


def model(buffer: bytes, members: dict[str, str] | None = None, type: int = writer.FLOAT32) -> bytes:
    out = io.BytesIO()
    out.write(writer.identity(type=type, metadata={metadata.BUFFER: buffer}).write())
    if members is not None:
        with zipfile.ZipFile(out, "a") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
    return out.getvalue()


def read(data: bytes) -> metadata.Standard:
    return metadata.standard(tflite.parse(data), metadata.Appended(data))


def test_everything_edgecam_uses_is_read() -> None:
    found = read(model(flatbuffer(), {"names.txt": "robin\nwren\n"}))
    assert found.labels == ("robin", "wren")
    assert (found.mean, found.std, found.color) == ((127.5,), (128.0,), "rgb")
    assert found.texts == {
        "name": "Birds",
        "description": "Two birds",
        "version": "v1",
        "author": "A. Author",
        "licence": "CC0",
    }


def test_variants() -> None:
    assert read(model(flatbuffer(color=GRAY))).color == "gray"
    assert read(model(flatbuffer(color=0))).color == ""
    assert read(model(flatbuffer(mean=(1, 2, 3), std=(4, 5, 6)))).std == (4.0, 5.0, 6.0)
    assert read(model(flatbuffer(std=(0,)))).mean == ()
    assert read(model(flatbuffer(mean=(float("inf"),)))).mean == ()


def test_label_files_that_are_not_there_are_no_error() -> None:
    assert read(model(flatbuffer())).labels == ()
    assert read(model(flatbuffer(), {"other.txt": "x"})).labels == ()
    assert read(model(flatbuffer(file_type=DESCRIPTIONS), {"names.txt": "x"})).labels == ()


def test_a_model_without_metadata() -> None:
    assert read(writer.identity().write()) == metadata.Standard()


def test_it_makes_a_contract(tmp_path: Path) -> None:
    path = tmp_path / "birds.tflite"
    path.write_bytes(model(flatbuffer(), {"names.txt": "robin\nwren\n"}))
    assert contract.read(path) is None
    spec = contract.resolve(path, Overrides(task="classify"))
    assert (spec.name, spec.labels, spec.mean, spec.std) == ("birds", ("robin", "wren"), (127.5,), (128.0,))
    assert (spec.version, spec.description, spec.licence) == ("v1", "Two birds", "CC0")


def test_its_normalisation_is_for_float_inputs(tmp_path: Path) -> None:
    path = tmp_path / "birds.tflite"
    path.write_bytes(model(flatbuffer(), type=writer.UINT8))
    spec = contract.resolve(path, Overrides(task="classify"))
    assert (spec.mean, spec.std) == ((0.0,), (1.0,))


def test_damage_gives_metadata_or_one_line() -> None:
    data, chance, refused = flatbuffer(), random.Random(3), 0
    for _ in range(2000):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(model(bytes(broken)))
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 100 < refused < 1900


@pytest.mark.real
def test_a_public_model_s_metadata(real: Path) -> None:
    found = read((real / "mobilenet_v2_1.0_224_quant.tflite").read_bytes())
    assert (found.mean, found.std, found.color) == ((127.5,), (127.5,), "rgb")
    assert len(found.labels) == 1001
    assert found.texts["name"] == "ImageClassifier"
