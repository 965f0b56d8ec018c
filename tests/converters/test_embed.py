"""The contract, written here and read by the device."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters import files, flatmodel
from converters.embed import contract_json, embed, embed_file, labels_text
from edgecam import contract
from edgecam.contract import ModelSpec
from edgecam.errors import ContractError, EdgecamError, ModelError

MODEL = flatmodel.bare(
    (Path(__file__).resolve().parent.parent.parent / "models" / "classify-person.tflite").read_bytes()
)
SPEC = ModelSpec(
    name="person",
    task="classify",
    decoder="classify",
    labels=("人", "nobody"),
    mean=(0.0,),
    std=(1.0,),
    outputs={"scores": "Identity"},
    options={"threshold": 0.5, "top_k": 1},
    version="1.0.0",
    description="is 人 there?",
    licence="Zlib",
    origin="somewhere",
    report={"accuracy": 0.5, "by": {"person": [1, 2]}},
    golden=({"input": "a.png", "output": [0.25, 0.75]},),
)

LABEL = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8).filter(
    lambda label: not label[0].isdigit()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_the_device_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "person.tflite"
    path.write_bytes(embed(MODEL, SPEC, ("scores",)))
    assert contract.read(path) == SPEC
    assert contract.resolve(path) == SPEC


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(LABEL, min_size=2, max_size=2),
    mean=st.floats(-300, 300, width=32),
    std=st.floats(0.001953125, 300, width=32),
    report=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    color=st.sampled_from(["rgb", "bgr"]),
    resize=st.sampled_from(["stretch", "letterbox", "crop"]),
)
def test_any_contract_comes_back(
    tmp_path: Path,
    labels: list[str],
    mean: float,
    std: float,
    report: dict[str, Any],
    color: Any,
    resize: Any,
) -> None:
    spec = ModelSpec(
        "x", "classify", "classify", tuple(labels), color, resize, (mean,), (std,), report=report
    )
    path = tmp_path / "x.tflite"
    path.write_bytes(embed(MODEL, spec, ("scores",)))
    assert contract.read(path) == spec


def test_same_in_same_out() -> None:
    assert embed(MODEL, SPEC, ("scores",)) == embed(MODEL, SPEC, ("scores",))


def test_a_contract_replaces_the_one_before() -> None:
    other = embed(MODEL, ModelSpec("other", "classify", "classify", ("a", "b")), ("scores",))
    assert embed(other, SPEC, ("scores",)) == embed(MODEL, SPEC, ("scores",))


def test_the_zip_is_stored_dated_1980_and_whole() -> None:
    with zipfile.ZipFile(io.BytesIO(embed(MODEL, SPEC, ("scores",)))) as archive:
        assert archive.namelist() == ["labels.txt", "edgecam.json"]
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        assert archive.read("labels.txt").decode() == "人\nnobody\n"


def test_json_holds_neither_labels_nor_what_is_empty() -> None:
    content = json.loads(contract_json(ModelSpec("x", "classify", "classify", ("a",))))
    assert sorted(content) == ["decoder", "edgecam", "input", "name", "task"]


def test_unused_labels_are_marked() -> None:
    assert labels_text(("cat", "", "dog")) == b"cat\n???\ndog\n"


def test_no_labels_no_label_file() -> None:
    data = embed(MODEL, ModelSpec("x", "classify", "classify"), ("scores",))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["edgecam.json"]


def test_not_a_model(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"this is not a model at all")
    with pytest.raises(ModelError):
        embed_file(source, target, SPEC, ("scores",))
    assert not target.exists()


@pytest.mark.parametrize("outputs", [(), ("scores", "boxes")])
def test_one_role_for_each_output(outputs: tuple[str, ...]) -> None:
    with pytest.raises(ContractError, match="for 1 outputs"):
        embed(MODEL, SPEC, outputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("two\nlines", "b")}, "several lines"),
        ({"report": {"accuracy": float("nan")}}, "not JSON"),
        ({"options": {"threshold": object()}}, "not JSON"),
    ],
)
def test_a_contract_that_cannot_be_written(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        embed(MODEL, replace(SPEC, **changes), ("scores",))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model.tflite"
    target.write_bytes(b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EdgecamError, match="No space left"):
        files.write_whole(target, b"after")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_write_whole_makes_the_folder_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.tflite"
    files.write_whole(target, b"one")
    files.write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o644
