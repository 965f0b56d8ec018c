"""A USB webcam with Motion JPEG on the kernel's own driver. Runs inside the virtual machine only."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from edgecam import cameras, jpeg
from edgecam.errors import SourceLostError
from edgecam.registry import parse_uri
from edgecam.sources.camera import CameraSource
from edgecam.types import Frame

from .webcam import NAME, SIZES, Webcam


def scene(size: tuple[int, int]) -> np.ndarray:
    """Red on the left, blue on the right."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, : size[0] // 2, 0] = 250
    picture[:, size[0] // 2 :, 2] = 250
    return picture


PICTURES = {size: jpeg.encode(scene(size)) for size in SIZES}


def without_tables(data: bytes) -> bytes:
    """The same picture without its Huffman tables, as many cameras send it."""
    while (at := data.find(b"\xff\xc4")) >= 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]
    return data


def plugged_in(timeout: float = 20) -> cameras.CameraInfo:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for info in cameras.list_cameras():
            if info.name.startswith(NAME):
                return info
        time.sleep(0.1)
    raise AssertionError("the kernel did not take the webcam")


@pytest.fixture
def pictures() -> list[bytes]:
    """What the camera sends next; the plain picture once the list is empty."""
    return []


@pytest.fixture
def source(pictures: list[bytes]) -> Iterator[CameraSource]:
    """An opened camera on a webcam that was just plugged in."""

    def picture(kind: str, size: tuple[int, int], number: int) -> bytes:
        assert kind == "MJPG"
        return pictures.pop(0) if pictures else PICTURES[size]

    webcam = Webcam(picture)
    source = CameraSource(parse_uri(f"camera:{plugged_in().path}"))
    try:
        source.open()
        yield source
    finally:
        source.close()
        webcam.unplug()


def read(source: CameraSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_one_camera_not_two_with_its_sizes_and_rates(source: CameraSource) -> None:
    found = [c for c in cameras.list_cameras() if c.driver == "uvcvideo"]
    assert len(found) == 1  # its second node gives metadata
    assert len(cameras.nodes()) == 3
    assert [f.fourcc for f in found[0].formats] == ["YUYV", "MJPG"]
    assert [(s.max, s.rates) for s in found[0].formats[1].sizes] == [(size, (10, 5)) for size in SIZES]


def test_jpeg_is_asked_for_and_comes_through_untouched(source: CameraSource) -> None:
    frame = read(source)
    assert frame.jpeg == PICTURES[1280, 720]
    assert frame.size == (1280, 720)
    assert frame.image[360, 100].tolist() == pytest.approx([250, 0, 0], abs=6)
    assert frame.image[360, 1200].tolist() == pytest.approx([0, 0, 250], abs=6)
    assert frame.times.captured <= time.monotonic()


def test_broken_pictures_are_skipped_and_counted(source: CameraSource, pictures: list[bytes]) -> None:
    read(source)
    whole = PICTURES[1280, 720]
    pictures += [whole[: len(whole) // 2], b"no JPEG at all", whole[:1000]]
    while pictures:
        assert read(source).jpeg == whole
    while source.broken < 3:
        assert read(source).jpeg == whole


def test_pictures_without_tables_or_with_padding_are_made_whole(
    source: CameraSource, pictures: list[bytes]
) -> None:
    read(source)
    bare = without_tables(PICTURES[1280, 720])
    assert len(bare) < len(PICTURES[1280, 720])
    pictures += [bare + bytes(100)] * 20
    while len(pictures) > 10:
        read(source)
    frame = read(source)
    assert frame.jpeg == PICTURES[1280, 720]
    assert source.broken == 0


def test_a_camera_that_sends_only_rubbish_is_lost(source: CameraSource, pictures: list[bytes]) -> None:
    read(source)
    pictures += [b"rubbish"] * 1000
    with pytest.raises(SourceLostError, match="only broken frames from Test Webcam"):
        while True:
            read(source)


def test_unplugged_and_plugged_in_again() -> None:
    for _ in range(2):
        webcam = Webcam(lambda kind, size, number: PICTURES[size])
        path = plugged_in().path
        source = CameraSource(parse_uri(f"camera:{path}"))
        source.open()
        read(source)
        webcam.unplug()
        with pytest.raises(SourceLostError, match=rf"{NAME}.*{path}.* was unplugged"):
            while True:
                read(source)
        while path in cameras.nodes():
            time.sleep(0.05)
        assert path == "/dev/video1"  # nobody held the old number
