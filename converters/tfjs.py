"""Read a TensorFlow.js graph model (``model.json`` + weight shards) back into a TensorFlow graph.

The format is that of the tfjs-converter: ``modelTopology`` is a GraphDef in protobuf's JSON mapping whose
constants hold no values, ``weightsManifest`` says in which order the values lie in the concatenated shards,
and a weight may be stored affinely quantised (``value = stored * scale + min``) or as float16.

Only :func:`graph_def` needs TensorFlow.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecam.errors import ModelError
from edgecam.types import Array

_PLAIN = {"float32": "<f4", "int32": "<i4", "bool": "|b1", "complex64": "<c8"}
_STORED = {"uint8": "|u1", "uint16": "<u2", "float16": "<f2"}


def read_json(path: Path) -> dict[str, Any]:
    """Read ``model.json``.

    Raises:
        ModelError: not a tfjs graph model (a tfjs *layers* model is named as such).
    """
    try:
        model = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error})", "give a tfjs model.json") from error
    if not isinstance(model, dict) or model.get("format") == "layers-model":
        raise ModelError(f"{path}: not a tfjs graph model", "export it as tfjs_graph_model")
    topology = model.get("modelTopology")
    if not isinstance(topology, dict) or "node" not in topology or "weightsManifest" not in model:
        raise ModelError(f"{path}: has no graph or no weights manifest", "export it as tfjs_graph_model")
    return model


def shards(path: Path) -> list[Path]:
    """The weight files beside ``model.json``; none where that is no such file."""
    try:
        groups = json.loads(path.read_bytes())["weightsManifest"]
        return [path.parent / name for group in groups for name in group["paths"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def read_weights(path: Path, model: Mapping[str, Any]) -> dict[str, Array]:
    """All weights of a model, dequantised: name -> array in the dtype its graph uses.

    Args:
        path: of ``model.json``; the shards lie beside it.
        model: what :func:`read_json` gave.

    Raises:
        ModelError: a shard is missing, too short or too long, or a dtype is unknown.
    """
    weights: dict[str, Array] = {}
    for group in model["weightsManifest"]:
        try:
            data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        except OSError as error:
            raise ModelError(f"{path}: {error}", "keep the weight shards beside model.json") from error
        weights.update(_decode_group(path, group["weights"], data))
    return weights


def _decode_group(path: Path, entries: list[dict[str, Any]], data: bytes) -> Iterator[tuple[str, Array]]:
    offset = 0
    for entry in entries:
        if entry["dtype"] == "string":
            value, size = _decode_strings(entry, data[offset:])
        else:
            value, size = _decode_numbers(path, entry, data[offset:])
        offset += size
        yield entry["name"], value
    if offset != len(data):
        raise ModelError(f"{path}: weight shards hold {len(data)} bytes, expected {offset}")


def _decode_numbers(path: Path, entry: Mapping[str, Any], data: bytes) -> tuple[Array, int]:
    shape = tuple(entry["shape"])
    count = math.prod(shape)
    quantization = entry.get("quantization")
    kinds = _STORED if quantization else _PLAIN
    name = quantization["dtype"] if quantization else entry["dtype"]
    if name not in kinds or entry["dtype"] not in _PLAIN:
        raise ModelError(f"{path}: weight {entry['name']!r} has the unknown dtype {name!r}")
    stored = np.dtype(kinds[name])
    size = count * stored.itemsize
    if size > len(data):
        raise ModelError(f"{path}: weight {entry['name']!r} needs {size} bytes, {len(data)} are left")
    value: Array = np.frombuffer(data, stored, count).reshape(shape)
    if quantization and name != "float16":
        value = value.astype(np.float32) * np.float32(quantization["scale"]) + np.float32(quantization["min"])
        if entry["dtype"] == "int32":
            value = np.round(value)
    return value.astype(np.dtype(_PLAIN[entry["dtype"]]).newbyteorder("=")), size


def _decode_strings(entry: Mapping[str, Any], data: bytes) -> tuple[Array, int]:
    """Strings lie one after another, each after its length as a little-endian uint32."""
    texts, offset = [], 0
    for _ in range(math.prod(entry["shape"])):
        size = int.from_bytes(data[offset : offset + 4], "little")
        texts.append(data[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return np.array(texts, object).reshape(entry["shape"]), offset


def plain_topology(model: Mapping[str, Any]) -> dict[str, Any]:
    """The graph in protobuf's JSON mapping, mended where tfjs departs from it.

    Byte strings may be written as lists of numbers (they become base64), and constants carry empty value
    lists beside their dtype and shape (they are dropped; the values come from the weights).
    """
    topology = {
        key: model["modelTopology"][key] for key in ("node", "versions") if key in model["modelTopology"]
    }
    nodes = [
        {**node, "attr": {key: _plain_attr(value) for key, value in node.get("attr", {}).items()}}
        for node in topology["node"]
    ]
    versions = {key: value for key, value in topology.get("versions", {}).items() if value != []}
    return {"node": nodes, "versions": versions}


def _plain_attr(value: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(value)
    if "s" in out:
        out["s"] = _plain_bytes(out["s"])
    if isinstance(out.get("list"), dict) and out["list"].get("s"):
        out["list"] = {**out["list"], "s": [_plain_bytes(item) for item in out["list"]["s"]]}
    if "tensor" in out:
        out["tensor"] = {k: v for k, v in out["tensor"].items() if k in ("dtype", "tensorShape")}
    return out


def _plain_bytes(value: str | list[int]) -> str:
    return base64.b64encode(bytes(value)).decode() if isinstance(value, list) else value


def graph_def(path: Path) -> Any:
    """The model as a ``tf.compat.v1.GraphDef`` with its weights in place.

    Raises:
        ModelError: as :func:`read_json` and :func:`read_weights`, or a constant without a weight.
    """
    import tensorflow as tf
    from google.protobuf import json_format

    model = read_json(path)
    weights = read_weights(path, model)
    graph = json_format.ParseDict(plain_topology(model), tf.compat.v1.GraphDef())
    for node in graph.node:
        if node.op != "Const":
            continue
        if node.name not in weights:
            raise ModelError(f"{path}: constant {node.name!r} has no weight in the manifest")
        kind = tf.as_dtype(node.attr["dtype"].type)
        value = weights[node.name]
        if kind != tf.string:
            value = value.astype(kind.as_numpy_dtype)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype=kind, shape=value.shape))
    return graph
