"""Headers of films, read back from what the writer writes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.mp4 import Mp4Writer, Track
from edgecam.mp4_head import Head, read_head

AVCC = bytes((1, 0x64, 0x00, 0x1F, 0xFF, 0xE1, 0, 0))
BEGAN = 1_795_000_000


def film(track: Track, created: float = BEGAN, pictures: int = 30, closed: bool = True) -> bytes:
    file = io.BytesIO()
    writer = Mp4Writer(file, track, created)
    for i in range(pictures):
        writer.add(i * 0.1, True, b"picture")
    if closed:
        writer.close()
    return file.getvalue()


@pytest.mark.parametrize(
    ("track", "codec"),
    [
        (Track("h264", 64, 48, AVCC), "avc1.64001f"),
        (Track("mpeg4", 64, 48, b"\0\0\1\x20some"), "mp4v.20"),
        (Track("jpeg", 64, 48), "mp4v.6c"),
    ],
)
def test_it_says_what_was_written(track: Track, codec: str) -> None:
    head = read_head(io.BytesIO(film(track)))
    assert head == Head(BEGAN, pytest.approx(3.0), f'video/mp4; codecs="{codec}"')


def test_of_a_film_whose_writer_was_killed_the_length_is_not_known() -> None:
    head = read_head(io.BytesIO(film(Track("jpeg", 64, 48), closed=False)))
    assert (head.began, head.seconds) == (BEGAN, 0.0)


def test_a_time_that_was_not_known_is_none() -> None:
    assert read_head(io.BytesIO(film(Track("jpeg", 64, 48), created=0.0))).began == 0.0


WHOLE = film(Track("h264", 64, 48, AVCC), pictures=1)


@given(st.one_of(st.binary(max_size=200), st.integers(0, len(WHOLE)).map(lambda n: WHOLE[:n])))
def test_whatever_else_is_in_a_file_is_refused_or_read(data: bytes) -> None:
    try:
        head = read_head(io.BytesIO(data))
    except ValueError:
        return
    assert head.began == BEGAN


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_byte_that_is_wrong_breaks_nothing(at: int, value: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] = value
    try:
        head = read_head(io.BytesIO(damaged))
    except ValueError:
        return
    assert head.media_type.startswith("video/mp4; codecs=")
