"""The bounds-checked reader and the verifier of model files: damage gives an error, never more."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam import tflite
from edgecam.errors import ModelError
from edgecam.flatbuffer import Table, root
from tests.engines import writer
from tests.engines.damage import mutated, structure
from tests.engines.writer import Blob, Scalar, T, Vector, Writer

SAMPLES = [
    writer.identity(metadata={"TFLITE_METADATA": b"12345678"}).write(),
    writer.quantizer(0.5, 3).write(),
    writer.half_weights(1.5).write(),
]


class TestReader:
    DATA = bytes(
        Writer(
            {
                0: Scalar("I", 7),
                1: "text",
                2: Vector("h", (1, -2, 3)),
                3: {0: Scalar("b", -5)},
                4: [{0: Scalar("d", 0.5)}, {}],
                6: Blob(b"abc"),
            },
            b"TEST",
        ).data
    )

    def test_reads_what_was_written(self) -> None:
        table = root(self.DATA, b"TEST")
        assert table.integer(0, "I") == 7
        assert table.string(1) == "text"
        assert table.integers(2, "h") == (1, -2, 3)
        inner = table.table(3)
        assert inner is not None
        assert inner.integer(0, "b") == -5
        assert [entry.scalar(0, "d", 1.5) for entry in table.tables(4)] == [0.5, 1.5]
        assert table.blob(6) == b"abc"

    def test_absent_fields_are_empty(self) -> None:
        table = root(self.DATA, b"TEST")
        for field in (5, 9):
            assert table.integer(field, "i", -1) == -1
            assert table.string(field) == ""
            assert table.numbers(field, "f") == ()
            assert table.table(field) is None
            assert list(table.tables(field)) == []
            assert table.strings(field) == []
            assert table.blob(field) is None

    def test_another_identifier_is_refused(self) -> None:
        with pytest.raises(ModelError, match="OTHR"):
            root(self.DATA, b"OTHR")

    @given(st.binary(max_size=64), st.integers(-1, 70))
    def test_any_bytes_read_as_a_table_end_in_values_or_errors(self, data: bytes, at: int) -> None:
        try:
            table = Table(data, at)
        except ModelError:
            return
        for field in range(4):
            reads: list[Callable[[], Any]] = [
                lambda f=field: table.scalar(f, "d"),
                lambda f=field: table.string(f),
                lambda f=field: table.integers(f, "q"),
                lambda f=field: table.table(f),
                lambda f=field: list(table.tables(f)),
                lambda f=field: table.strings(f),
                lambda f=field: table.blob(f),
            ]
            for read in reads:
                try:
                    read()
                except ModelError as error:
                    assert "\n" not in str(error)


def parse(data: bytes) -> tflite.ModelFile | None:
    """Parsed, None if refused in good order; anything else fails the test."""
    try:
        return tflite.parse(data)
    except ModelError as error:
        assert "\n" not in str(error)
        assert error.remedy
        return None


class TestDamage:
    @pytest.mark.parametrize("data", SAMPLES)
    def test_every_truncation_is_refused(self, data: bytes) -> None:
        assert parse(data) is not None
        for length in range(len(data)):
            # the last bytes may be padding that nothing refers to
            if parse(data[:length]) is not None:
                assert length > len(data) - 16

    @pytest.mark.parametrize("data", SAMPLES)
    def test_no_mutation_gets_more_than_an_error(self, data: bytes) -> None:
        chance = random.Random(1)
        refused = sum(parse(mutated(data, chance, range(len(data)))) is None for _ in range(3000))
        assert refused > 500

    @settings(max_examples=300)
    @given(st.binary(max_size=400))
    def test_noise_after_the_mark_gets_no_more_either(self, noise: bytes) -> None:
        parse(b"\x08\0\0\0TFL3" + noise)

    @pytest.mark.real
    def test_real_files_survive_thousands_of_mutations(self, real: Path) -> None:
        data = (real / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
        places = structure(data)
        assert 10_000 < len(places) < len(data) / 2
        chance = random.Random(2)
        refused = sum(parse(mutated(data, chance, places)) is None for _ in range(1000))
        assert refused > 200

    @pytest.mark.real
    def test_real_files_cut_anywhere_are_refused(self, real: Path) -> None:
        data = (real / "mobilenet_v2_1.0_224_quant_edgetpu.tflite").read_bytes()
        assert parse(data) is not None
        for length in range(0, len(data) - 64, len(data) // 97):
            assert parse(data[:length]) is None


class TestVerifier:
    def test_a_good_model_is_described(self) -> None:
        model = tflite.parse(
            writer.identity(type=writer.UINT8, quant=(0.5, 3), signature=(-1, 4, 4, 3)).write()
        )
        assert model.inputs == (tflite.Tensor("image", (1, 4, 4, 3), (-1, 4, 4, 3), "uint8", 0.5, 3),)
        assert [tensor.name for tensor in model.outputs] == ["out"]
        assert model.operators == 1
        assert model.custom_ops == ()
        assert model.description == "written by a test"
        assert not model.compiled_for_edgetpu

    def test_metadata_buffers_are_found_by_name(self) -> None:
        model = tflite.parse(writer.identity(metadata={"one": b"1", "two": b"22"}).write())
        assert {name: bytes(data) for name, data in model.metadata.items()} == {"one": b"1", "two": b"22"}

    def test_the_post_processing_says_which_output_is_which(self) -> None:
        tensors = [T("image", (1, 4, 4, 3)), *(T(name, (1, 2)) for name in "abcd")]
        op = writer.Op(writer.CUSTOM, (0,), (4, 1, 2, 3), custom=tflite.SSD_OP)
        model = tflite.parse(writer.Model(tensors, [0], [1, 2, 3, 4], [op]).write())
        assert model.custom_ops == (tflite.SSD_OP,)
        assert model.ssd_outputs == (3, 0, 1, 2)

    @pytest.mark.real
    @pytest.mark.parametrize(
        ("name", "size", "custom"),
        [
            ("mobilenet_v2_1.0_224_quant.tflite", 224, ()),
            ("mobilenet_v2_1.0_224_quant_edgetpu.tflite", 224, ("edgetpu-custom-op",)),
            ("coco_ssd_mobilenet_v1_1.0_quant.tflite", 300, ("TFLite_Detection_PostProcess",)),
            ("yolov8n_full_integer_quant_224.tflite", 224, ()),
        ],
    )
    def test_real_models_pass(self, real: Path, name: str, size: int, custom: tuple[str, ...]) -> None:
        model = tflite.load(real / name)
        assert model.inputs[0].shape == (1, size, size, 3)
        assert model.custom_ops == custom
        assert model.compiled_for_edgetpu == name.endswith("_edgetpu.tflite")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"inputs": [9]}, "input 9 of 3"),
            ({"outputs": [-1]}, "output -1 of 3"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, 7), (2,))]}, "operator input 7 of 3"),
            ({"ops": [writer.Op(writer.RESHAPE, (-1, 1), (2,))]}, "operator input -1 of 3"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, 1), (-1,))]}, "operator output -1 of 3"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, -1), (2,))]}, "operator input -1 of 3"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, 1), (0,))]}, "written twice"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, 1), (1,))]}, "written twice"),
            ({"ops": [writer.Op(writer.RESHAPE, (0, 1), (2,))] * 2}, "written twice"),
            ({"ops": [writer.Op(writer.RESHAPE, (2, 1), (2,))]}, "read before they are written"),
            ({"ops": [writer.Op(writer.CUSTOM, (0,), (2,))]}, "without a name"),
            ({"tensors": [T("image", (1, -4)), T("s", (1,)), T("o", (1,))]}, "of tensor 'image'"),
            ({"tensors": [T("image", (2**20, 2**20)), T("s", (1,)), T("o", (1,))]}, "tensor 'image' of"),
            (
                {"tensors": [T("i", (1,)), T("s", (4,), data=b"123"), T("o", (1,))]},
                "needs 16 bytes and has 3",
            ),
            (
                {"tensors": [T("i", (1,), quant=(float("nan"), 0)), T("s", (1,)), T("o", (1,))]},
                "scale of tensor",
            ),
            ({"tensors": [T("i", (1,), quant=(1e30, 0)), T("s", (1,)), T("o", (1,))]}, "scale of tensor"),
            (
                {"tensors": [T("i", (1,), writer.UINT8, (1.0, 256)), T("s", (1,)), T("o", (1,))]},
                "zero point of tensor",
            ),
            ({"extra": {0: Scalar("I", 2)}}, "schema version 2"),
            ({"extra": {2: []}}, "no graph"),
            ({"extra": {4: []}}, "buffer 0 of 0"),
            ({"extra": {6: [{0: "name", 1: Scalar("I", 99)}]}}, "metadata buffer 99"),
            ({"extra": {7: [{4: Scalar("I", 5)}]}}, "graph 5 of 1"),
            ({"extra": {4: [{1: Scalar("Q", 99), 2: Scalar("Q", 2**60)}] * 2}}, "buffer of"),
        ],
    )
    def test_what_leads_astray_is_named(self, change: dict[str, Any], message: str) -> None:
        model = writer.identity()
        for name, value in change.items():
            setattr(model, name, value)
        with pytest.raises(ModelError) as caught:
            tflite.parse(model.write())
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"PK\x03\x04....", "zip"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"just some text", "no TFL3 mark"),
        ],
    )
    def test_other_formats_are_named(self, tmp_path: Path, data: bytes, message: str) -> None:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        with pytest.raises(ModelError) as caught:
            tflite.load(path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)

    def test_absent_files_and_folders_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            tflite.load(tmp_path / "model.tflite")
        with pytest.raises(ModelError, match="is a folder"):
            tflite.load(tmp_path)
