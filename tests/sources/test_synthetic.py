"""The synthetic scene: its truth, its order, its pace and the trouble it can play."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam import jpeg
from edgecam.errors import FrameError, SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, parse_uri
from edgecam.sources.synthetic import COLORS, LABELS, SyntheticSource, seq_of
from edgecam.types import Frame, Image


def make(query: str = "") -> SyntheticSource:
    return SyntheticSource(parse_uri(f"synthetic:{query}"))


def read_all(source: SyntheticSource) -> list[Frame]:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def boxes_of_color(image: Image, color: tuple[int, int, int]) -> list[list[int]]:
    """What a person would measure: the bounding box of each patch of exactly this colour."""
    mask = np.all(image == np.array(color, np.uint8), axis=2).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return [[x, y, x + w, y + h] for x, y, w, h, _ in stats[1:count].tolist()]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    seq=st.integers(0, 100_000),
    width=st.integers(64, 700),
    height=st.integers(160, 500),
    shapes=st.integers(1, 7),
)
def test_truth_is_what_the_pixels_show(seed: int, seq: int, width: int, height: int, shapes: int) -> None:
    source = make(f"?size={width}x{height}&seed={seed}&shapes={shapes}")
    image, truth = source.render(seq), source.truth(seq)
    assert image.shape == (height, width, 3)
    assert len(truth) == shapes
    for class_id in range(len(LABELS)):
        told = truth.xyxy[truth.class_id == class_id].astype(int).tolist()
        assert sorted(told) == sorted(boxes_of_color(image, COLORS[class_id]))
    assert seq_of(image) == seq % 65536


def test_everything_moves_and_is_repeatable() -> None:
    first, again, other = make(), make(), make("?seed=1")
    assert np.array_equal(first.render(7), again.render(7))
    assert not np.array_equal(first.truth(7).xyxy, other.truth(7).xyxy)
    moved = first.truth(8).xyxy[:, 0] != first.truth(7).xyxy[:, 0]
    assert moved.all()


def test_frame_number_survives_jpeg_and_scaling() -> None:
    image = make("?size=1280x720").render(43210)
    small = cv2.resize(jpeg.decode(jpeg.encode(image, 60)), (320, 240), interpolation=cv2.INTER_AREA)
    assert seq_of(small) == 43210


def test_a_number_of_frames_is_a_file() -> None:
    source = make("?frames=5&fps=10")
    assert (source.live, source.total) == (False, 5)
    frames = read_all(source)
    assert [f.seq for f in frames] == [0, 1, 2, 3, 4]
    assert [seq_of(f.image) for f in frames] == [0, 1, 2, 3, 4]
    assert [f.media_time for f in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_live_frames_come_no_faster_than_the_clock() -> None:
    source = make("?fps=50&frames=6&live=yes")
    assert source.live
    frames = read_all(source)
    captured = [f.times.captured for f in frames]
    # Late is possible on a busy machine, early never is.
    assert captured[5] - captured[0] >= 5 / 50 - 1e-3
    assert all(f.media_time is None for f in frames)


def test_jpeg_frames_show_the_scene() -> None:
    source = make("?frames=2&jpeg=yes")
    frame = read_all(source)[1]
    assert frame.jpeg is not None
    assert frame.size == (640, 480) == jpeg.size(frame.jpeg)
    x1, y1, x2, y2 = source.truth(1).xyxy[0].astype(int)
    middle = frame.image[(y1 + y2) // 2, (x1 + x2) // 2].astype(int)
    assert np.abs(middle - COLORS[0]).max() < 20


def test_lost_and_back() -> None:
    source = make("?live=no&lose_after=2&lose_for=0.2")
    source.open()
    assert [source.read().seq for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    with pytest.raises(SourceLostError, match="unplugged"):
        source.read()
    with pytest.raises(SourceError, match="unplugged"):
        source.open()
    pause = threading.Event()
    for _ in range(200):
        try:
            source.open()
            break
        except SourceError:
            pause.wait(0.05)
    frame = source.read()
    assert frame is not None and frame.seq == 2


def test_a_stalled_read_ends_when_the_source_is_closed() -> None:
    source = make("?live=no&stall_after=1")
    source.open()
    assert source.read() is not None
    seen: list[BaseException] = []

    def read() -> None:
        try:
            source.read()
        except SourceLostError as error:
            seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.1)
    assert reader.is_alive()
    source.close()
    reader.join(5)
    assert not reader.is_alive() and len(seen) == 1
    source.open()
    assert source.read() is not None


def test_broken_pictures_are_skipped_and_counted() -> None:
    source = make("?frames=6&broken_every=3")
    assert [f.seq for f in read_all(source)] == [0, 1, 3, 4]
    assert source.broken == 2


def test_broken_jpeg_is_handed_out_as_a_camera_would() -> None:
    frames = read_all(make("?frames=6&broken_every=3&jpeg=yes"))
    assert [f.seq for f in frames] == [0, 1, 2, 3, 4, 5]
    assert frames[3].image.shape == (480, 640, 3)
    with pytest.raises(FrameError):
        frames[2].image  # noqa: B018


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?size=big", "WIDTHxHEIGHT"),
        ("?size=8x8", "64x64"),
        ("?fps=0", "frames per second"),
        ("?fps=nan", "frames per second"),
        ("?frames=-3", "whole number"),
        ("?shapes=500", "16 rows"),
        ("?quality=0", "1 to 100"),
        ("?colour=red", "unknown option"),
        ("0", "takes no path"),
    ],
)
def test_wrong_options_are_named(query: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make(query)


def test_registered() -> None:
    assert load(SOURCES, "source", "synthetic") is SyntheticSource
