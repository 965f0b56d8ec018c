"""A bounds-checked reader of FlatBuffers, standard library only.

A flatbuffer is a web of offsets. The C++ readers of TensorFlow Lite follow them unchecked, so a damaged file
can crash the process that loads it. Here every offset, vtable, vector and string is checked to lie inside the
data before it is followed; whatever does not raises :class:`~edgecam.errors.ModelError`.

Source: https://flatbuffers.dev/internals/ (format), the checks of ``flatbuffers::Verifier``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NoReturn

from edgecam.errors import ModelError

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_SCALARS = {code: struct.Struct("<" + code) for code in "bBhHiIqQfd"}
_LIMIT = 1_000_000  # tables in one vector: real models have thousands


def damaged(detail: str) -> NoReturn:
    """Say that the file is not whole.

    Raises:
        ModelError: always.
    """
    raise ModelError(f"truncated or corrupted model file ({detail})", "download or copy it again")


class Table:
    """One table: fields by their number in the schema.

    Args:
        data: the whole flatbuffer.
        at: position of the table in it.

    Raises:
        ModelError: the table or its vtable does not lie inside ``data``; every method below raises it too
            when what it would read does not.
    """

    __slots__ = ("_fields", "_size", "at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        if not 0 < at <= len(data) - 4:
            damaged(f"table at {at}")
        vtable = at - _I32.unpack_from(data, at)[0]
        if not 0 <= vtable <= len(data) - 4:
            damaged(f"vtable at {vtable}")
        length = _U16.unpack_from(data, vtable)[0]
        self._size = _U16.unpack_from(data, vtable + 2)[0]
        if length < 4 or length % 2 or vtable + length > len(data):
            damaged(f"vtable at {vtable}")
        if self._size < 4 or at + self._size > len(data):
            damaged(f"table at {at}")
        self._fields: tuple[int, ...] = struct.unpack_from(f"<{length // 2 - 2}H", data, vtable + 4)
        if self._fields and max(self._fields) >= self._size:
            damaged(f"field of the table at {at}")

    def _where(self, field: int, width: int) -> int:
        """Position of a field, 0 if it is absent."""
        offset = self._fields[field] if field < len(self._fields) else 0
        if not offset:
            return 0
        if offset < 4 or offset + width > self._size:
            damaged(f"field {field} of the table at {self.at}")
        return self.at + offset

    def _target(self, field: int) -> int:
        """Where an offset field points, 0 if it is absent."""
        where = self._where(field, 4)
        return _follow(self.data, where) if where else 0

    def scalar(self, field: int, code: str, default: int | float = 0) -> int | float:
        """A number; ``code`` as in :mod:`struct`."""
        kind = _SCALARS[code]
        where = self._where(field, kind.size)
        if not where:
            return default
        value: int | float = kind.unpack_from(self.data, where)[0]
        return value

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """A whole number."""
        return int(self.scalar(field, code, default))

    def string(self, field: int) -> str:
        """Text, "" if absent; invalid UTF-8 is replaced."""
        at = self._target(field)
        return _string(self.data, at) if at else ""

    def numbers(self, field: int, code: str) -> tuple[int | float, ...]:
        """A vector of numbers, empty if absent."""
        count, at = self.vector(field, _SCALARS[code].size)
        return struct.unpack_from(f"<{count}{code}", self.data, at) if count else ()

    def integers(self, field: int, code: str = "i") -> tuple[int, ...]:
        """A vector of whole numbers, empty if absent."""
        return tuple(int(value) for value in self.numbers(field, code))

    def blob(self, field: int) -> memoryview | None:
        """A vector of bytes, None if absent; not copied."""
        if not self._where(field, 4):
            return None
        count, at = self.vector(field, 1)
        return memoryview(self.data)[at : at + count]

    def table(self, field: int) -> Table | None:
        """A sub-table (or a union's table), None if absent."""
        at = self._target(field)
        return Table(self.data, at) if at else None

    def tables(self, field: int) -> Iterator[Table]:
        """A vector of tables."""
        for at in self._targets(field):
            yield Table(self.data, at)

    def strings(self, field: int) -> list[str]:
        """A vector of strings."""
        return [_string(self.data, at) for at in self._targets(field)]

    def vector(self, field: int, width: int) -> tuple[int, int]:
        """(number of elements, position of the first) of a vector; (0, 0) if absent."""
        at = self._target(field)
        if not at:
            return 0, 0
        if at > len(self.data) - 4:
            damaged(f"vector at {at}")
        count: int = _U32.unpack_from(self.data, at)[0]
        if at + 4 + count * width > len(self.data):
            damaged(f"vector of {count} at {at}")
        return count, at + 4

    def _targets(self, field: int) -> Iterator[int]:
        count, first = self.vector(field, 4)
        if count > _LIMIT:
            damaged(f"vector of {count} tables")
        for where in range(first, first + 4 * count, 4):
            yield _follow(self.data, where)


def root(data: bytes, identifier: bytes) -> Table:
    """The root table of a flatbuffer with the four-byte ``identifier``.

    Raises:
        ModelError: another identifier, or a root outside the data.
    """
    if data[4:8] != identifier:
        damaged(f"identifier {identifier.decode()} is missing")
    return Table(data, _follow(data, 0))


def _follow(data: bytes, where: int) -> int:
    target: int = where + _U32.unpack_from(data, where)[0]
    if target == where or target > len(data) - 4:
        damaged(f"offset at {where} leads to {target}, the file ends at {len(data)}")
    return target


def _string(data: bytes, at: int) -> str:
    length = _U32.unpack_from(data, at)[0]
    end = at + 4 + length
    # C++ reads strings up to the NUL that must stand behind them.
    if end >= len(data) or data[end]:
        damaged(f"string at {at}")
    return data[at + 4 : end].decode("utf-8", "replace")
