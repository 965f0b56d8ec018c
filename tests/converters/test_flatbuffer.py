"""The writer, read back by the device's own bounds-checked reader."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from converters.flatbuffer import Blob, Numbers, Outside, Refs, Scalar, Table, serialize
from edgecam.flatbuffer import Table as View
from edgecam.flatbuffer import root

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=5)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    number=st.integers(0, 2**32 - 1),
    small=st.integers(-128, 127),
    text=NAMES,
    floats=FLOATS,
    blob=st.binary(max_size=40),
    names=st.lists(NAMES, max_size=4),
)
def test_everything_written_is_read_back(
    number: int, small: int, text: str, floats: list[float], blob: bytes, names: list[str]
) -> None:
    table = Table(
        {
            0: Scalar("I", number),
            3: Scalar("b", small),
            1: text,
            2: Numbers("f", floats),
            6: Blob(blob),
            5: Refs([Table({0: name}) for name in names]),
            7: Refs(names),
        }
    )
    view = root(serialize(table, b"TEST"), b"TEST")
    assert view.integer(0, "I") == number
    assert view.integer(3, "b") == small
    assert view.string(1) == text
    assert list(view.numbers(2, "f")) == floats
    assert view.blob(6) == blob
    assert [entry.string(0) for entry in view.tables(5)] == names
    assert view.strings(7) == names
    assert view.string(4) == ""


@given(before=NAMES, blob=st.binary(min_size=1, max_size=40), align=st.sampled_from([4, 8, 16, 64]))
def test_blobs_are_aligned(before: str, blob: bytes, align: int) -> None:
    data = serialize(Table({0: before, 1: Blob(blob, align)}), b"TEST")
    assert root(data, b"TEST").vector(1, 1)[1] % align == 0


@given(floats=FLOATS, before=NAMES)
def test_numbers_are_aligned(floats: list[float], before: str) -> None:
    data = serialize(Table({0: before, 1: Numbers("f", floats), 2: Scalar("f", 1.0)}), b"TEST")
    assert root(data, b"TEST").vector(1, 4)[1] % 4 == 0


@given(inner=NAMES, outer=NAMES)
def test_an_existing_buffer_is_kept_and_referred_to(inner: str, outer: str) -> None:
    body = serialize(Table({0: inner}), b"BODY")
    target = root(body, b"BODY").at
    data = serialize(Table({0: Outside(target), 1: outer}), b"TEST", body)
    assert data.endswith(body)
    assert (len(data) - len(body)) % 16 == 0
    view = root(data, b"TEST")
    kept = view.table(0)
    assert isinstance(kept, View)
    assert kept.string(0) == inner
    assert view.string(1) == outer


def test_an_empty_table_has_only_defaults() -> None:
    data = serialize(Table({}), b"TEST")
    assert data[4:8] == b"TEST"
    assert struct.unpack_from("<I", data)[0] % 4 == 0
    assert root(data, b"TEST").integer(0, "I", 7) == 7
