"""Contracts: read from files, merged with flags, held against tensors."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecam import contract, contract_json
from edgecam.contract import ModelSpec, Overrides
from edgecam.errors import ContractError, ModelError
from edgecam.types import TensorInfo
from tests.engines import writer

CONTRACT = {
    "edgecam": 1,
    "name": "birds",
    "version": "1.2.0",
    "description": "Two birds",
    "licence": "CC0-1.0",
    "origin": "made for a test",
    "task": "classify",
    "decoder": "classify",
    "input": {"color": "bgr", "resize": "crop", "mean": [1, 2, 3], "std": [4.5]},
    "outputs": {"scores": "out"},
    "options": {"threshold": 0.25},
    "report": {"accuracy": 0.9},
    "golden": [{"answer": 1}],
}

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a model file with a zip of the given members behind it."""

    def write(members: Mapping[str, bytes] | None = None, model: writer.Model | None = None) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes((model or writer.identity()).write() + (zipped(members) if members else b""))
        return path

    return write


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def with_json(**changes: Any) -> dict[str, bytes]:
    values = {key: value for key, value in {**CONTRACT, **changes}.items() if value is not None}
    return {"edgecam.json": json.dumps(values).encode(), "labels.txt": b"robin\nwren\n"}


class TestRead:
    def test_everything_is_read(self, put: Put) -> None:
        assert contract.read(put(with_json())) == ModelSpec(
            name="birds",
            task="classify",
            decoder="classify",
            labels=("robin", "wren"),
            color="bgr",
            resize="crop",
            mean=(1.0, 2.0, 3.0),
            std=(4.5,),
            outputs={"scores": "out"},
            options={"threshold": 0.25},
            version="1.2.0",
            description="Two birds",
            licence="CC0-1.0",
            origin="made for a test",
            report={"accuracy": 0.9},
            golden=({"answer": 1},),
        )

    def test_a_model_without_a_contract_has_none(self, put: Put) -> None:
        assert contract.read(put()) is None
        assert contract.read(put({"other.txt": b"x"})) is None

    def test_what_is_left_out_is_filled_in(self, put: Put) -> None:
        spec = contract.read(put(with_json(name=None, input={"mean": 0, "std": 255}, options=None)))
        assert spec is not None
        assert (spec.name, spec.color, spec.resize) == ("model", "rgb", "stretch")
        assert (spec.mean, spec.std, spec.options) == ((0.0,), (255.0,), {})

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"edgecam": None}, "format version"),
            ({"edgecam": 2}, "update edgecam"),
            ({"edgecam": True}, "format version"),
            ({"task": "clasify"}, "did you mean 'classify'"),
            ({"task": 3}, "expected a text"),
            ({"task": "detect"}, "does not fit task"),
            ({"decoder": "magic"}, "one of"),
            ({"decoder": None, "task": None}, "does not say its decoder"),
            ({"input": []}, "input is [], expected an object"),
            ({"input": {"color": "cmyk"}}, "color"),
            ({"input": {"mean": [1, 2], "std": [1]}}, "mean is [1, 2], expected one or three numbers"),
            ({"input": {"mean": ["1"], "std": [1]}}, "mean"),
            ({"input": {"mean": [1]}}, "mean and std go together"),
            ({"input": {"mean": [1], "std": [0]}}, "std must be above 0"),
            ({"outputs": {"scores": 1.5}}, "outputs"),
            ({"options": [1]}, "options"),
            ({"golden": [1]}, "golden"),
        ],
    )
    def test_what_is_wrong_is_named(self, put: Put, changes: dict[str, Any], message: str) -> None:
        path = put(with_json(**changes))
        with pytest.raises(ContractError) as caught:
            contract.read(path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"edgecam": 1, "report": {"x": NaN}}',
            b'{"edgecam": 1, "report": {"x": 1e999}}',
            b'{"edgecam": 1, "report": {"x": 1' + b"0" * 400 + b"}}",
            b"[" * 100_000,
            b"\xff\xfe{}",
        ],
    )
    def test_what_is_no_json_is_refused(self, put: Put, data: bytes) -> None:
        with pytest.raises(ContractError, match=r"edgecam\.json"):
            contract.read(put({"edgecam.json": data}))

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )

    @given(st.dictionaries(st.sampled_from([*CONTRACT, "mean", "std"]), json_values))
    def test_any_json_gives_values_or_one_line(self, changes: dict[str, Any]) -> None:
        try:
            section = contract_json.load(json.dumps({**CONTRACT, **changes}).encode(), 1)
            section.numbers("mean"), section.roles("outputs"), section.objects("golden")
            section.text("name"), section.section("input").choice("color", ("rgb",))
        except ContractError as error:
            assert "\n" not in str(error)


class TestZip:
    def test_damage_is_an_error(self, put: Put) -> None:
        path = put(with_json())
        data = bytearray(path.read_bytes())
        at = data.index(b'"birds"')
        data[at + 1] ^= 1  # the checksum no longer fits
        path.write_bytes(data)
        with pytest.raises(ModelError, match="damaged"):
            contract.read(path)

    def test_a_bomb_is_not_unpacked(self, put: Put, tmp_path: Path) -> None:
        path = put()
        bomb = zipped({"edgecam.json": b" " * 2**26}, zipfile.ZIP_DEFLATED)
        assert len(bomb) < 2**20
        path.write_bytes(path.read_bytes() + bomb)
        with pytest.raises(ModelError, match="is over"):
            contract.read(path)

    def test_paths_in_it_mean_nothing(self, put: Put) -> None:
        assert (
            contract.read(put({"../edgecam.json": b"{}", "/edgecam.json": b"{}", "a/edgecam.json": b"{}"}))
            is None
        )

    def test_too_many_files_are_refused(self, put: Put) -> None:
        with pytest.raises(ModelError, match="300 files"):
            contract.read(put({f"{i}.txt": b"" for i in range(300)}))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_any_damage_gives_a_contract_or_one_line(self, put: Put, data: st.DataObject) -> None:
        path = put()
        tail = bytearray(zipped(with_json()))
        for _ in range(data.draw(st.integers(1, 3))):
            tail[data.draw(st.integers(0, len(tail) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(path.read_bytes() + tail)
        try:
            contract.read(path)
        except ModelError as error:
            assert "\n" not in str(error)


class TestResolve:
    def test_flags_win_over_the_file(self, put: Put, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_text("0 duck\n1 swan\n")
        spec = contract.resolve(
            put(with_json()),
            Overrides(
                labels=names,
                color="rgb",
                resize="letterbox",
                mean_std=((0.0,), (255.0,)),
                outputs={"extra": "1"},
                options={"top_k": 2},
            ),
        )
        assert spec.name == "birds"
        assert spec.labels == ("duck", "swan")
        assert (spec.color, spec.resize, spec.mean, spec.std) == ("rgb", "letterbox", (0.0,), (255.0,))
        assert spec.outputs == {"scores": "out", "extra": "1"}
        assert spec.options == {"threshold": 0.25, "top_k": 2}

    def test_missing_ones_are_named_in_one_error(self, put: Put) -> None:
        with pytest.raises(ContractError) as caught:
            contract.resolve(put())
        for part in ("decoder", "normalisation", "--decoder", "yolov8", "--normalize", "--labels"):
            assert part in str(caught.value)

    def test_a_task_that_has_one_decoder_needs_no_decoder(self, put: Put) -> None:
        spec = contract.resolve(put(), Overrides(task="classify", mean_std=((0.0,), (1.0,))))
        assert (spec.task, spec.decoder) == ("classify", "classify")

    def test_a_decoder_brings_the_custom_of_its_family(self, put: Put) -> None:
        spec = contract.resolve(put(), Overrides(decoder="yolov8"))
        assert (spec.task, spec.resize, spec.mean, spec.std) == ("detect", "letterbox", (0.0,), (255.0,))
        spec = contract.resolve(put(), Overrides(decoder="yolov8", resize="stretch"))
        assert spec.resize == "stretch"

    def test_a_decoder_by_flag_brings_its_task(self, put: Put) -> None:
        assert contract.resolve(put(with_json()), Overrides(decoder="yolov8")).task == "detect"

    def test_a_contradiction_is_named(self, put: Put) -> None:
        with pytest.raises(ContractError, match="add --task classify"):
            contract.resolve(put(), Overrides(task="detect", decoder="classify"))

    def test_uint8_inputs_take_pixels_as_they_are(self, put: Put) -> None:
        model = writer.identity(type=writer.UINT8, quant=(1 / 128, 128))
        spec = contract.resolve(put(model=model), Overrides(task="classify"))
        assert (spec.mean, spec.std) == ((128.0,), (128.0,))

    def test_one_channel_is_gray(self, put: Put) -> None:
        spec = contract.resolve(put(model=writer.identity((1, 4, 4, 1))), Overrides(decoder="yolov8"))
        assert spec.color == "gray"

    def test_labels_that_cannot_be_read(self, put: Put, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="cannot read the labels"):
            contract.resolve(put(with_json()), Overrides(labels=tmp_path / "none.txt"))

    def test_overrides_over_overrides(self) -> None:
        upper = Overrides(decoder="yolov8", outputs={"a": "1"})
        lower = Overrides(task="detect", decoder="yolov5", outputs={"a": "0", "b": "2"}, options={"iou": 1})
        assert upper.over(lower) == Overrides(
            task="detect", decoder="yolov8", outputs={"a": "1", "b": "2"}, options={"iou": 1}
        )

    @pytest.mark.real
    def test_a_public_model_needs_its_task_alone(self, real: Path) -> None:
        spec = contract.resolve(real / "mobilenet_v2_1.0_224_quant.tflite", Overrides(task="classify"))
        assert len(spec.labels) == 1001
        assert spec.labels[286] == "Egyptian cat"
        assert (spec.mean, spec.std, spec.color) == ((128.0,), (128.0,), "rgb")

    @pytest.mark.real
    def test_a_public_detector_tells_by_its_operator(self, real: Path) -> None:
        spec = contract.resolve(real / "coco_ssd_mobilenet_v1_1.0_quant.tflite")
        assert (spec.task, spec.decoder) == ("detect", "ssd-postprocess")
        assert spec.outputs == {"boxes": "0", "classes": "1", "scores": "2", "count": "3"}


def tensor(*shape: int, dtype: str = "uint8", name: str = "t") -> TensorInfo:
    return TensorInfo(name, shape, np.dtype(dtype))


class TestCheck:
    SPEC = ModelSpec("m", "classify", "classify")

    @pytest.mark.parametrize(
        ("shape", "dtype", "changes", "message"),
        [
            ((1, 4, 4), "uint8", {}, "expected 1 x height"),
            ((2, 4, 4, 3), "uint8", {}, "take one picture"),
            ((1, 3, 4, 4), "uint8", {}, "channels last"),
            ((1, 4, 4, 4), "uint8", {}, "expected 1 x height"),
            ((1, 4, 4, 3), "int64", {}, "of type int64"),
            ((1, 4, 4, 1), "uint8", {}, "add --color gray"),
            ((1, 4, 4, 3), "uint8", {"color": "gray"}, "add --color rgb"),
            ((1, 4, 4, 1), "uint8", {"color": "gray", "mean": (1.0, 2.0, 3.0)}, "3 values of mean for 1"),
        ],
    )
    def test_inputs_that_are_no_picture(
        self, shape: tuple[int, ...], dtype: str, changes: dict[str, Any], message: str
    ) -> None:
        spec = ModelSpec(**{"name": "m", "task": "classify", "decoder": "classify", **changes})
        with pytest.raises(ContractError) as caught:
            contract.check(spec, tensor(*shape, dtype=dtype), [tensor(1, 5)])
        assert message in str(caught.value)

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
    def test_pictures_pass(self, dtype: str) -> None:
        contract.check(self.SPEC, tensor(1, 4, 4, 3, dtype=dtype), [tensor(1, 5)])

    def test_roles_by_name_and_by_index(self) -> None:
        outputs = [tensor(1, 5, name="a"), tensor(1, 5, name="0")]
        spec = ModelSpec("m", "detect", "yolov8", outputs={"x": "a", "y": "1", "z": "0", "bad": "2"})
        found = [contract.find_output(spec, outputs, role) for role in ("x", "y", "z", "none")]
        assert found == [0, 1, 1, None]
        with pytest.raises(ContractError, match="output '2' for role 'bad'"):
            contract.check(spec, tensor(1, 4, 4, 3), outputs)

    @pytest.mark.parametrize(
        ("classes", "labels", "offset", "message"),
        [
            (1001, 1000, 0, "first line 'background'"),
            (1000, 1001, 0, "take that line out"),
            (1000, 80, 0, "--labels FILE"),
            (1001, 1001, -1, "take that line out"),
        ],
    )
    def test_label_counts_that_do_not_fit(self, classes: int, labels: int, offset: int, message: str) -> None:
        spec = ModelSpec("m", "classify", "classify", ("x",) * labels, options={"label_offset": offset})
        with pytest.raises(ContractError) as caught:
            contract.check(spec, tensor(1, 4, 4, 3), [tensor(1, classes)])
        assert message in str(caught.value)

    def test_label_counts_that_fit(self) -> None:
        spec = ModelSpec("m", "classify", "classify", ("x",) * 1000, options={"label_offset": -1})
        contract.check(spec, tensor(1, 4, 4, 3), [tensor(1, 1001)])
        contract.check(self.SPEC, tensor(1, 4, 4, 3), [tensor(1, 1001)])


def test_an_error_is_one_line_whatever_the_file_says() -> None:
    error = ContractError("output 'a\x1b[2J\nb" + "x" * 10_000, "add --output\u202e")
    assert str(error).isprintable()
    assert len(str(error)) < 1200
    assert str(error).startswith("output 'a [2J bx")
