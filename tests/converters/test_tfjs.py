"""tfjs weights, in every form the format allows."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import steps, tfjs
from converters.job import Job
from converters.runner import complete
from converters.work import Work
from edgecam.errors import ModelError


def write(folder: Path, entries: list[dict[str, Any]], data: bytes, cut: int = 7) -> Path:
    """A model.json with its weights in two shards, cut at an odd place."""
    (folder / "a").write_bytes(data[:cut])
    (folder / "b").write_bytes(data[cut:])
    model = {
        "modelTopology": {"node": []},
        "weightsManifest": [{"paths": ["a", "b"], "weights": entries}],
    }
    path = folder / "model.json"
    path.write_text(json.dumps(model))
    return path


def weights(path: Path) -> dict[str, Any]:
    return tfjs.read_weights(path, tfjs.read_json(path))


def entry(name: str, shape: list[int], kind: str, /, **quantization: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name, "shape": shape, "dtype": kind}
    return out | ({"quantization": quantization} if quantization else {})


def test_plain_weights_across_shards(tmp_path: Path) -> None:
    floats = np.array([[1.5, -2.0, 3.25], [0, 1e-30, 7]], "<f4")
    ints = np.array([-5, 2**31 - 1], "<i4")
    entries = [
        entry("f", [2, 3], "float32"),
        entry("scalar", [], "int32"),
        entry("i", [2], "int32"),
        entry("flags", [3], "bool"),
        entry("none", [0], "float32"),
    ]
    data = floats.tobytes() + struct.pack("<i", 42) + ints.tobytes() + bytes([1, 0, 1])
    found = weights(write(tmp_path, entries, data))
    np.testing.assert_array_equal(found["f"], floats)
    assert found["f"].dtype == np.float32
    assert (found["scalar"].shape, int(found["scalar"])) == ((), 42)
    np.testing.assert_array_equal(found["i"], ints)
    assert found["flags"].tolist() == [True, False, True]
    assert found["none"].shape == (0,)


@pytest.mark.parametrize(("kind", "top"), [("uint8", 255), ("uint16", 65535)])
def test_affine_weights(tmp_path: Path, kind: str, top: int) -> None:
    stored = np.array([0, 1, top], np.dtype(kind).newbyteorder("<"))
    path = write(tmp_path, [entry("w", [3], "float32", dtype=kind, scale=0.5, min=-3.0)], stored.tobytes(), 1)
    assert weights(path)["w"].tolist() == [-3.0, -2.5, top / 2 - 3]


def test_affine_integers_are_rounded(tmp_path: Path) -> None:
    path = write(tmp_path, [entry("w", [2], "int32", dtype="uint8", scale=0.3, min=1.0)], bytes([0, 3]), 1)
    found = weights(path)["w"]
    assert (found.dtype, found.tolist()) == (np.int32, [1, 2])


def test_half_floats(tmp_path: Path) -> None:
    stored = np.array([0.5, -65504.0], "<f2")
    found = weights(write(tmp_path, [entry("w", [2], "float32", dtype="float16")], stored.tobytes(), 1))["w"]
    assert (found.dtype, found.tolist()) == (np.float32, [0.5, -65504.0])


def test_strings(tmp_path: Path) -> None:
    data = b"".join(struct.pack("<I", len(t)) + t for t in (b"one", b"", "zwei é".encode()))
    data += struct.pack("<f", 2.0)
    found = weights(write(tmp_path, [entry("s", [3], "string"), entry("f", [], "float32")], data))
    assert found["s"].tolist() == [b"one", b"", "zwei é".encode()]
    assert float(found["f"]) == 2.0


@pytest.mark.parametrize(("size", "message"), [(7, "needs 8 bytes"), (9, "9 bytes, expected 8")])
def test_shards_of_a_wrong_size(tmp_path: Path, size: int, message: str) -> None:
    path = write(tmp_path, [entry("w", [2], "float32")], bytes(size), 3)
    with pytest.raises(ModelError, match=message):
        weights(path)


@pytest.mark.parametrize(
    "bad",
    [entry("w", [2], "float64"), entry("w", [2], "float32", dtype="uint4", scale=1, min=0)],
)
def test_unknown_dtype(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="unknown dtype"):
        weights(write(tmp_path, [bad], bytes(16)))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [entry("w", [2], "float32")], bytes(8))
    (tmp_path / "b").unlink()
    with pytest.raises(ModelError, match="weight shards"):
        weights(path)


@pytest.mark.parametrize(
    "text",
    ["not json", "[]", "{}", '{"format": "layers-model"}', '{"modelTopology": {"node": []}}'],
)
def test_what_is_no_graph_model(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ModelError):
        tfjs.read_json(path)


def test_topology_is_mended() -> None:
    node = {
        "name": "n",
        "op": "Const",
        "attr": {
            "text": {"s": list(b"SAME")},
            "kept": {"s": base64.b64encode(b"NHWC").decode()},
            "several": {"list": {"s": [list(b"a"), "Yg=="], "i": []}},
            "value": {"tensor": {"dtype": 1, "tensorShape": {}, "floatVal": []}},
        },
    }
    model = {"modelTopology": {"node": [node], "library": {}, "versions": {"badConsumers": []}}}
    out = tfjs.plain_topology(model)
    attr = out["node"][0]["attr"]
    assert attr["text"]["s"] == base64.b64encode(b"SAME").decode()
    assert attr["kept"]["s"] == base64.b64encode(b"NHWC").decode()
    assert attr["several"]["list"]["s"] == ["YQ==", "Yg=="]
    assert attr["value"]["tensor"] == {"dtype": 1, "tensorShape": {}}
    assert out["versions"] == {}
    assert node["attr"]["text"] == {"s": list(b"SAME")}, "the argument is not changed"


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    """The step quantize is not done any more when a shard beside model.json has changed."""
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["a", "b"]}, {"paths": ["c"]}]}))
    assert tfjs.shards(path) == [tmp_path / name for name in "abc"]
    step = steps.load("quantize")
    options = complete(step, Job(model=str(path)), {})
    assert {tmp_path / name for name in "abc"} <= set(step.inputs(Work(tmp_path / "work"), options))
    path.write_text("[]")
    assert tfjs.shards(path) == []
