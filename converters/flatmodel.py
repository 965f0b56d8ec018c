"""The few things done to a ``.tflite`` as a FlatBuffer: give it metadata, put its outputs in order.

Fields are those of TensorFlow Lite's schema, version 3 (``tensorflow/compiler/mlir/lite/schema/schema.fbs``).
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence

from converters.flatbuffer import Blob, Node, Outside, Refs, Scalar, Table, serialize
from edgecam.errors import ModelError
from edgecam.flatbuffer import Table as View
from edgecam.flatbuffer import root

IDENTIFIER = b"TFL3"
METADATA = "TFLITE_METADATA"
_BODY = "edgecam.body"  # where the model as it was before begins: makes embedding reversible

_VERSION, _SUBGRAPHS, _BUFFERS, _METADATA, _SIGNATURES, _FIELDS = 0, 2, 4, 6, 7, 10


def metadata(model: bytes, name: str = METADATA) -> bytes | None:
    """The contents of a named metadata buffer, or None.

    Raises:
        ModelError: not a TFLite model, or a damaged one.
    """
    view = root(model, IDENTIFIER)
    buffers = list(view.tables(_BUFFERS))
    for entry in view.tables(_METADATA):
        index = entry.integer(1, "I")
        if entry.string(0) == name and index < len(buffers):
            return bytes(buffers[index].blob(0) or b"")
    return None


def bare(model: bytes) -> bytes:
    """The model without an appended zip and without what :func:`with_metadata` put before it."""
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            model = model[: min((info.header_offset for info in archive.infolist()), default=len(model))]
    except zipfile.BadZipFile:
        pass
    start = metadata(model, _BODY)
    return model if start is None else model[struct.unpack("<I", start)[0] :]


def with_metadata(model: bytes, content: bytes) -> bytes:
    """The model with its ``TFLITE_METADATA`` set; its bytes stay as they are, behind a new root.

    Args:
        model: a ``.tflite``; an appended zip or earlier metadata of ours is taken off first.
        content: a finished metadata FlatBuffer.

    Raises:
        ModelError: not a model, a newer schema, or one over 2 GB (with buffers outside the FlatBuffer).
    """
    model = bare(model)
    view = root(model, IDENTIFIER)
    if _field_count(view) > _FIELDS:
        raise ModelError("the model uses a newer schema than this converter knows", "update edgecam")
    buffers = list(view.tables(_BUFFERS))
    if any(buffer.integer(1, "Q") > 1 for buffer in buffers):
        raise ModelError("a model with weights outside the FlatBuffer cannot be given metadata")
    kept = [entry for entry in view.tables(_METADATA) if entry.string(0) != METADATA]
    named = {METADATA: len(buffers), _BODY: len(buffers) + 1}
    entries = [Table({0: name, 1: Scalar("I", index)}) for name, index in named.items()]

    def build(start: int) -> bytes:
        added = [Table({0: Blob(content)}), Table({0: Blob(struct.pack("<I", start))})]
        slots: dict[int, Scalar | Node | Outside] = {
            field: Outside(first - 4)
            for field in range(1, _FIELDS)  # each of them a vector or a string
            if (first := view.vector(field, 1)[1])
        }
        slots[_VERSION] = Scalar("I", view.integer(_VERSION, "I"))
        slots[_BUFFERS] = Refs([*(Outside(buffer.at) for buffer in buffers), *added])
        slots[_METADATA] = Refs([*(Outside(entry.at) for entry in kept), *entries])
        return serialize(Table(slots), IDENTIFIER, model)

    # The size of what goes before does not depend on the number written in it.
    return build(len(build(0)) - len(model))


def _field_count(view: View) -> int:
    vtable = view.at - struct.unpack_from("<i", view.data, view.at)[0]
    length: int = struct.unpack_from("<H", view.data, vtable)[0]
    return length // 2 - 2


def order_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """The model with its outputs in the order of ``names``, the output names of its only signature.

    TensorFlow 2's converter lists outputs in an order of its own; readers that go by position want
    theirs.

    Raises:
        ModelError: the signature has other outputs than these.
    """
    view = root(model, IDENTIFIER)
    found = {
        output.string(0): output.integer(1, "I")
        for signature in view.tables(_SIGNATURES)
        for output in signature.tables(1)
    }
    main = next(view.tables(_SUBGRAPHS))
    if set(found) != set(names) or sorted(found.values()) != sorted(main.integers(2)):
        raise ModelError(f"the model's outputs are {sorted(found)}, expected {list(names)}")
    out = bytearray(model)
    struct.pack_into(f"<{len(names)}i", out, main.vector(2, 4)[1], *(found[name] for name in names))
    return bytes(out)


def fixed_batch(model: bytes) -> bytes:
    """The model for one picture at a time: what may vary in its tensors' shapes is fixed at what it is.

    A batch of any size is of no use on a device, and the Edge TPU's compiler refuses it.

    Raises:
        ModelError: not a TFLite model, or a damaged one.
    """
    out = bytearray(model)
    for graph in root(model, IDENTIFIER).tables(_SUBGRAPHS):
        for tensor in graph.tables(0):
            shape = tensor.integers(0)
            count, place = tensor.vector(7, 4)
            if count == len(shape):
                struct.pack_into(f"<{count}i", out, place, *shape)
    return bytes(out)
