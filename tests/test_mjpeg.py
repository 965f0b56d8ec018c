"""JPEG frames as cameras send them."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import jpeg, mjpeg
from edgecam.errors import FrameError


def picture(width: int = 64, height: int = 48) -> bytes:
    return jpeg.encode(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def without_tables(data: bytes) -> bytes:
    while (at := data.find(b"\xff\xc4")) >= 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]
    return data


def test_a_whole_picture_is_left_alone() -> None:
    data = picture(70, 30)
    assert mjpeg.mend(data) == (data, (70, 30))


def test_missing_tables_are_put_in() -> None:
    data = picture()
    bare = without_tables(data)
    assert len(bare) < len(data) - 400
    mended, size = mjpeg.mend(bare)
    assert size == (64, 48)
    assert mended.count(b"\xff\xc4") == data.count(b"\xff\xc4")
    assert np.array_equal(jpeg.decode(mended), jpeg.decode(data))


def test_padding_behind_the_picture_is_cut_off() -> None:
    data = picture()
    assert mjpeg.mend(data + bytes(1000))[0] == data


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    data = picture()
    filled = data[:2] + b"\xff\xff" + data[2:]
    assert mjpeg.mend(filled)[1] == (64, 48)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a JPEG picture"),
        (b"\x00" * 100, "not a JPEG picture"),
        (picture()[:500], "cut off after 500 bytes"),
        (b"\xff\xd8\xff\xd9", "broken header"),
        (b"\xff\xd8" + bytes(50) + b"\xff\xd9", "broken header"),
    ],
)
def test_what_cannot_be_mended_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        mjpeg.mend(data)


@given(st.binary(max_size=300), st.integers(0, 700))
def test_noise_never_does_worse(noise: bytes, at: int) -> None:
    data = picture(16, 16)
    damaged = data[:at] + noise + data[at + len(noise) :]
    try:
        _, size = mjpeg.mend(damaged)
    except FrameError:
        return
    assert min(size) > 0


def test_stray_bytes_between_markers_are_forgiven() -> None:
    data = picture()
    stray = data[:-2] + bytes(8) + data[-2:]
    with pytest.raises(FrameError):
        jpeg.decode(stray)
    assert mjpeg.decode(stray).shape == (48, 64, 3)


@pytest.mark.parametrize("component", [0, 1, 2])
def test_any_subsampling_is_a_picture_or_a_broken_one(component: int) -> None:
    """Each component says in one byte how much finer it is sampled, across and down."""
    for factors in range(256):
        data = bytearray(picture())
        data[data.find(b"\xff\xc0") + 11 + 3 * component] = factors
        mended, size = mjpeg.mend(bytes(data))
        jpeg.is_colour(mended)
        with contextlib.suppress(FrameError):
            assert jpeg.size(mended) == size
        with contextlib.suppress(FrameError):
            assert mjpeg.decode(mended, 16, 12).shape == (12, 16, 3)
        with contextlib.suppress(FrameError):
            assert jpeg.decode(mended).shape == (48, 64, 3)


def test_subsampling_without_a_name_is_read() -> None:
    """4:4:1: colours a quarter as high as the picture, as few encoders make them."""
    data = bytearray(picture(32, 32))
    at = data.find(b"\xff\xc0")
    data[at + 11] = 0x14
    assert jpeg.size(bytes(data)) == (32, 32) and jpeg.is_colour(bytes(data))
    assert mjpeg.decode(bytes(data), 8, 8).shape == (8, 8, 3)
