"""A bounds-checked reader of FlexBuffers maps: how TensorFlow Lite keeps options of custom operators.

Source: https://flatbuffers.dev/flexbuffers/ and the layout notes in ``flatbuffers/flexbuffers.h``: everything
is read from the end, offsets lead backwards, and each element has a byte for its type and width.
"""

from __future__ import annotations

import struct

from edgecam.flatbuffer import damaged

_INT, _UINT, _FLOAT, _MAP, _BOOL = 1, 2, 3, 9, 26
_INDIRECT = {6: _INT, 7: _UINT, 8: _FLOAT}
_CODES = {_INT: "bhiq", _UINT: "BHIQ", _FLOAT: "\0efd", _BOOL: "BHIQ"}
_NULL, _LAST_OTHER = 0, 36


class _Reader:
    """Numbers at positions that are checked first."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def unsigned(self, at: int, width: int) -> int:
        if width not in (1, 2, 4, 8) or not 0 <= at <= len(self.data) - width:
            damaged(f"operator option at {at}, {width} bytes wide")
        return int.from_bytes(self.data[at : at + width], "little")

    def target(self, at: int, width: int) -> int:
        """Where the offset at a position leads: backwards, and never before the start."""
        target = at - self.unsigned(at, width)
        if target < 0:
            damaged(f"operator option at {at} leads to {target}")
        return target

    def number(self, kind: int, at: int, width: int) -> int | float:
        self.unsigned(at, width)
        code = _CODES[kind][width.bit_length() - 1]
        if code == "\0":
            damaged(f"operator option at {at}")
        value: int | float = struct.unpack_from("<" + code, self.data, at)[0]
        return value

    def key(self, at: int) -> str:
        end = self.data.find(b"\0", at)
        if end < 0:
            damaged(f"operator option's name at {at}")
        return self.data[at:end].decode("utf-8", "replace")


def read_map(data: bytes) -> dict[str, int | float]:
    """The numbers in a map; values of other kinds are left out, and what is no map is empty.

    Raises:
        ModelError: the data leads outside itself.
    """
    if not data:
        return {}
    reader = _Reader(data)
    width = reader.unsigned(len(data) - 1, 1)
    packed = reader.unsigned(len(data) - 2, 1)
    at = len(data) - 2 - width
    reader.unsigned(at, width)
    if packed >> 2 != _MAP:
        return {}
    return _map(reader, reader.target(at, width), 1 << (packed & 3))


def _map(reader: _Reader, at: int, width: int) -> dict[str, int | float]:
    count = reader.unsigned(at - width, width)
    keys = reader.target(at - 3 * width, width)
    key_width = reader.unsigned(at - 2 * width, width)
    if count > len(reader.data) or count != reader.unsigned(keys - key_width, key_width):
        damaged(f"{count} operator options")
    found = {}
    for index in range(count):
        name = reader.key(reader.target(keys + index * key_width, key_width))
        packed = reader.unsigned(at + count * width + index, 1)
        value = _value(reader, packed, at + index * width, width)
        if value is not None:
            found[name] = value
    return found


def _value(reader: _Reader, packed: int, at: int, width: int) -> int | float | None:
    kind = packed >> 2
    if kind in _CODES:
        return reader.number(kind, at, width)
    if kind == _NULL:
        return None
    if kind > _LAST_OTHER:
        damaged(f"operator option of kind {kind}")
    target = reader.target(at, width)
    return reader.number(_INDIRECT[kind], target, 1 << (packed & 3)) if kind in _INDIRECT else None
