"""The multipart parser, against every way of writing the same stream."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecam.sources.multipart import MAX_HEADERS, MultipartReader, Part, boundary_of


@dataclass(frozen=True)
class Style:
    """How a camera writes its stream."""

    boundary: str = "frame"  # as written on the delimiter lines, after the dashes
    announced: str = "frame"  # as told in the Content-Type
    dashes: str = "--"
    newline: bytes = b"\r\n"
    length: bool = True
    headers: bool = True
    newline_after: bool = True
    preamble: bytes = b""
    closed: bool = False


def write(bodies: list[bytes], style: Style) -> bytes:
    out = bytearray(style.preamble)
    nl = style.newline
    delimiter = (style.dashes + style.boundary).encode()
    for body in bodies:
        out += delimiter + nl
        if style.headers:
            out += b"Content-Type: image/jpeg" + nl
            if style.length:
                out += b"Content-Length: %d" % len(body) + nl
        out += nl + body
        if style.newline_after:
            out += nl
    out += delimiter + (b"--" if style.closed else b"") + nl
    return bytes(out)


def read(data: bytes, boundary: str, cuts: list[int], max_part: int = 1 << 20) -> list[Part]:
    """Feed the data cut into pieces of the given sizes, over and over."""
    reader, parts, at = MultipartReader(boundary, max_part), [], 0
    sizes = iter(cuts * (len(data) // max(1, sum(cuts)) + 1))
    while at < len(data):
        size = next(sizes)
        parts += reader.feed(data[at : at + size])
        at += size
    return parts


JPEGS = st.binary(max_size=300).map(lambda b: b"\xff\xd8" + b.replace(b"frame", b"") + b"\xff\xd9")
STYLES = st.builds(
    Style,
    boundary=st.sampled_from(["frame", "-frame", "frame with.odd'(signs)"]),
    announced=st.sampled_from(["same", "--same", ""]),
    dashes=st.sampled_from(["--", "----"]),
    newline=st.sampled_from([b"\r\n", b"\n"]),
    length=st.booleans(),
    headers=st.booleans(),
    newline_after=st.booleans(),
    preamble=st.sampled_from([b"", b"\r\n", b"this is not for you\r\n"]),
    closed=st.booleans(),
)


@given(st.lists(JPEGS, max_size=6), STYLES, st.lists(st.integers(1, 97), min_size=1, max_size=5))
@example([b"\xff\xd8\xff\xd9"], Style(dashes="", announced="same"), [1])
def test_any_way_of_writing_gives_the_same_parts(bodies: list[bytes], style: Style, cuts: list[int]) -> None:
    announced = style.announced.replace("same", style.boundary)
    parts = read(write(bodies, style), announced, cuts)
    assert [part.body for part in parts] == bodies
    if style.headers:
        assert all(part.headers["content-type"] == "image/jpeg" for part in parts)


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 50))
def test_with_a_length_anything_may_be_in_a_body(bodies: list[bytes], cut: int) -> None:
    """Also something that looks like a delimiter; a JPEG apart, whose end is checked."""
    tricky = [b"x" + body + b"\r\n--frame\r\n" for body in bodies]
    assert [p.body for p in read(write(tricky, Style()), "frame", [cut])] == tricky


@given(st.binary(max_size=2000), st.integers(1, 100), st.sampled_from(["frame", "", "--"]))
def test_rubbish_never_raises_anything_but_value_error(data: bytes, cut: int, boundary: str) -> None:
    try:
        read(b"--frame\r\n" + data, boundary, [cut], max_part=100)
    except ValueError as error:
        assert "bytes" in str(error)


def test_a_part_with_a_length_does_not_wait_for_the_next() -> None:
    reader = MultipartReader("frame", 1000)
    jpeg = b"\xff\xd8abc\xff\xd9"
    assert reader.feed(b"--frame\r\nContent-Length: 7\r\n\r\n" + jpeg) == [
        Part({"content-length": "7"}, jpeg)
    ]


@pytest.mark.parametrize("told", [3, 5])
def test_a_length_that_is_too_short_is_not_believed(told: int) -> None:
    jpeg = b"\xff\xd8abcdef\xff\xd9"
    data = b"--frame\r\nContent-Length: %d\r\n\r\n" % told + jpeg + b"\r\n--frame\r\n"
    assert [p.body for p in read(data, "frame", [4])] == [jpeg]


def test_a_jpeg_right_after_the_delimiter() -> None:
    data = b"--frame\r\n\xff\xd8abc\xff\xd9--frame\r\n\xff\xd8def\xff\xd9\r\n--frame--\r\n"
    assert [p.body for p in read(data, "frame", [3])] == [b"\xff\xd8abc\xff\xd9", b"\xff\xd8def\xff\xd9"]


def test_nothing_is_read_after_the_closing_delimiter() -> None:
    reader = MultipartReader("frame", 1000)
    assert len(reader.feed(b"--frame\r\n\r\nabc\r\n--frame--\r\n--frame\r\n\r\nabc\r\n--frame\r\n")) == 1
    assert reader.ended


def test_memory_is_bounded() -> None:
    long = b"a" * 5000
    for start, says in (
        (b"--frame\r\nContent-Length: 2000\r\n\r\n", "a part of 2000 bytes"),
        (b"--frame\r\n\r\n", "a part of more than 1000 bytes"),
        (b"--frame\r\nX: ", "headers of more than"),
        (b"", "no boundary in"),
    ):
        reader = MultipartReader("frame", 1000)
        with pytest.raises(ValueError, match=says):
            reader.feed(start)
            for _ in range(20):
                reader.feed(long)
        assert len(reader._data) < 2 * MAX_HEADERS + 10_000


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace;boundary=frame", "frame"),
        ('multipart/x-mixed-replace; Boundary="--a b"', "--a b"),
        ("multipart/x-mixed-replace; charset=x; boundary=abc ; x=y", "abc"),
        ("multipart/x-mixed-replace", ""),
    ],
)
def test_boundary_of(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary
