"""Write FlatBuffers front to back, without generated code.

FlatBuffers point forward: a table is followed by what it refers to. So an existing buffer can be kept to the
byte and a new root placed *before* it, whose fields refer to the old objects (:class:`Outside`). This is how
metadata gets into a model here: no field of the model is decoded, so none can be lost, be it newer than this
code or a compiler's private data.

Source of the layout: the FlatBuffers internals document, https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Scalar:
    """A number in a table; ``kind`` is a :mod:`struct` code of at most four bytes."""

    kind: str
    value: float


@dataclass(frozen=True)
class Outside:
    """A reference to an object at ``offset`` of the buffer that follows."""

    offset: int


@dataclass(frozen=True)
class Table:
    """A table: slot number -> value. Absent slots keep the schema's default."""

    slots: Mapping[int, Scalar | Node | Outside]


@dataclass(frozen=True)
class Numbers:
    """A vector of numbers of one :mod:`struct` kind."""

    kind: str
    values: Sequence[float]


@dataclass(frozen=True)
class Blob:
    """A vector of bytes whose first byte is aligned."""

    data: bytes
    align: int = 16


@dataclass(frozen=True)
class Refs:
    """A vector of tables or strings."""

    items: Sequence[Node | Outside]


Node: TypeAlias = Table | Numbers | Blob | Refs | str


@dataclass
class _Writer:
    out: bytearray = field(default_factory=bytearray)
    inside: list[tuple[int, Node]] = field(default_factory=list)
    outside: list[tuple[int, int]] = field(default_factory=list)

    def pad(self, align: int, ahead: int = 0) -> None:
        """Zeros until the position ``ahead`` bytes further is aligned."""
        self.out.extend(bytes(-(len(self.out) + ahead) % align))

    def refer(self, position: int, target: Node | Outside) -> None:
        if isinstance(target, Outside):
            self.outside.append((position, target.offset))
        else:
            self.inside.append((position, target))

    def point(self, position: int, target: int) -> None:
        struct.pack_into("<I", self.out, position, target - position)

    def node(self, node: Node) -> int:
        """Write one object; what it refers to is queued. Returns its position."""
        if isinstance(node, Table):
            return self._table(node)
        if isinstance(node, str):
            return self._vector(node.encode() + b"\0", len(node.encode()), 4)
        if isinstance(node, Blob):
            return self._vector(node.data, len(node.data), node.align)
        if isinstance(node, Numbers):
            data = struct.pack(f"<{len(node.values)}{node.kind}", *node.values)
            return self._vector(data, len(node.values), 4)
        start = self._vector(bytes(4 * len(node.items)), len(node.items), 4)
        for index, item in enumerate(node.items):
            self.refer(start + 4 + 4 * index, item)
        return start

    def _vector(self, data: bytes, count: int, align: int) -> int:
        self.pad(max(align, 4), ahead=4)
        start = len(self.out)
        self.out += struct.pack("<I", count) + data
        return start

    def _table(self, table: Table) -> int:
        """The vtable, then the table: widest fields first, so that each is aligned."""
        sizes = {
            slot: struct.calcsize(value.kind) if isinstance(value, Scalar) else 4
            for slot, value in table.slots.items()
        }
        offsets, size = {}, 4
        for slot in sorted(sizes, key=lambda slot: (-sizes[slot], slot)):
            offsets[slot] = size
            size += sizes[slot]
        count = max(table.slots, default=-1) + 1
        vtable = struct.pack(
            f"<{count + 2}H", 4 + 2 * count, size, *(offsets.get(slot, 0) for slot in range(count))
        )
        self.pad(4, ahead=len(vtable))
        start = len(self.out) + len(vtable)
        self.out += vtable + struct.pack("<i", len(vtable)) + bytes(size - 4)
        for slot, value in table.slots.items():
            if isinstance(value, Scalar):
                struct.pack_into(f"<{value.kind}", self.out, start + offsets[slot], value.value)
            else:
                self.refer(start + offsets[slot], value)
        return start


def serialize(root: Table, identifier: bytes, body: bytes = b"", align: int = 16) -> bytes:
    """A finished buffer: ``root`` and all it holds, then ``body``.

    Args:
        root: the root table.
        identifier: the schema's four-byte file identifier.
        body: an existing buffer that :class:`Outside` references point into.
        align: the body starts at a multiple of this, which keeps its own alignment.
    """
    writer = _Writer(bytearray(4) + identifier)
    writer.inside.append((0, root))
    while writer.inside:
        position, node = writer.inside.pop(0)
        writer.point(position, writer.node(node))
    writer.pad(align)
    base = len(writer.out)
    for position, offset in writer.outside:
        writer.point(position, base + offset)
    return bytes(writer.out) + body
