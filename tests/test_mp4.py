"""Fragmented MP4 files, read back by OpenCV's FFmpeg."""

import contextlib
import errno
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecam.encoders import Mpeg4Encoder
from edgecam.mp4 import Mp4Writer, Track

SIZE = (160, 96)
COUNT = 100
CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf", "dinf"}


@pytest.fixture(scope="module")
def coded() -> list[tuple[bool, bytes, bytes]]:
    """So many coded pictures, each brighter than the one before."""
    units: list[tuple[bool, bytes, bytes]] = []
    encoder = Mpeg4Encoder(SIZE, lambda *unit: units.append(unit))
    for i in range(COUNT):
        encoder.write(np.full((SIZE[1], SIZE[0], 3), 20 + 2 * i, np.uint8))
    encoder.close()
    assert len(units) == COUNT
    return units


def times(count: int) -> list[float]:
    """Uneven, with a long gap."""
    return [i * 0.04 + 0.013 * (i % 3) + (5.0 if i > 20 else 0.0) for i in range(count)]


def write(file: io.RawIOBase | io.BytesIO, coded: list[tuple[bool, bytes, bytes]]) -> Mp4Writer:
    writer = Mp4Writer(file, Track("mpeg4", *SIZE, coded[0][2]))  # type: ignore[arg-type]
    for moment, (key, data, _) in zip(times(len(coded)), coded, strict=True):
        writer.add(moment, key, data)
    return writer


def play(path: Path) -> list[tuple[float, int]]:
    """(seconds, brightness) of each picture."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    shown = []
    while True:
        good, image = capture.read()
        if not good:
            return shown
        shown.append((capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, int(np.median(image))))


def boxes(data: bytes, offset: int = 0) -> list[tuple[str, int, bytes]]:
    """(kind, place, contents) of each box, those within boxes too."""
    found = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at, (kind, size)
        name, body = kind.decode(), data[at + 8 : at + size]
        found.append((name, offset + at, body))
        if name in CONTAINERS:
            found += boxes(body, offset + at + 8)
        at += size
    return found


def test_every_picture_is_there_at_its_time(tmp_path: Path, coded: list[tuple[bool, bytes, bytes]]) -> None:
    path = tmp_path / "a.mp4"
    with path.open("xb", buffering=0) as file:
        write(file, coded).close()
    shown = play(path)
    assert [t for t, _ in shown] == pytest.approx(times(COUNT), abs=0.001)
    assert [b for _, b in shown] == pytest.approx([20 + 2 * i for i in range(COUNT)], abs=6)


def test_header_tells_length_and_index_points_at_fragments(coded: list[tuple[bool, bytes, bytes]]) -> None:
    file = io.BytesIO()
    writer = write(file, coded)
    writer.close()
    found = boxes(file.getvalue())
    last = times(COUNT)[-1] - times(COUNT)[-2]
    ticks = round((times(COUNT)[-1] + last) * 90_000)
    assert writer.seconds == pytest.approx(ticks / 90_000, abs=1e-4)
    for kind, place in {"mvhd": 24, "mdhd": 24, "tkhd": 28, "mehd": 4}.items():
        body = next(body for name, _, body in found if name == kind)
        assert struct.unpack_from(">Q", body, place)[0] == pytest.approx(ticks, abs=2), kind
    fragments = [at for name, at, _ in found if name == "moof"]
    mfra = next(body for name, _, body in found if name == "mfra")
    (count,) = struct.unpack_from(">I", mfra, 20)
    rows = [struct.unpack_from(">QQ", mfra, 24 + 19 * i) for i in range(count)]
    assert count >= 2 and {place for _, place in rows} <= set(fragments)
    assert [start for start, _ in rows] == sorted(start for start, _ in rows)
    assert struct.unpack(">I", mfra[-4:])[0] == len(mfra) + 8


def test_plays_wherever_it_was_cut(tmp_path: Path, coded: list[tuple[bool, bytes, bytes]]) -> None:
    """As after a kill or a power cut: what was written before plays."""
    file = io.BytesIO()
    write(file, coded)  # never closed
    data = file.getvalue()
    ends = [at + 8 + len(body) for name, at, body in boxes(data) if name == "mdat"]
    assert len(ends) >= 2
    whole = []
    for cut in (*ends, ends[0] + 50, ends[-1] - 5):
        path = tmp_path / f"{cut}.mp4"
        path.write_bytes(data[:cut])
        shown = play(path)
        whole.append(len(shown))
        assert [t for t, _ in shown] == pytest.approx(times(len(shown)), abs=0.001)
    assert 0 < whole[0] < whole[len(ends) - 1] and whole[len(ends)] >= whole[0]


class FullDisk(io.FileIO):
    """A file on a disk with room for ``room`` bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "x+")
        self.room = room

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        fits = min(len(view), self.room - self.tell())
        if fits <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(view[:fits])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.95, 0.9999])
def test_disk_full_leaves_a_file_that_plays(
    tmp_path: Path, coded: list[tuple[bool, bytes, bytes]], share: float
) -> None:
    whole = io.BytesIO()
    write(whole, coded).close()
    header = next(at for name, at, _ in boxes(whole.getvalue()) if name == "moof")
    room = header + round((len(whole.getvalue()) - header) * share)
    path = tmp_path / "full.mp4"
    with FullDisk(path, room) as file:
        writer = Mp4Writer(file, Track("mpeg4", *SIZE, coded[0][2]))
        with pytest.raises(OSError, match="No space left"):
            for moment, (key, data, _) in zip(times(COUNT), coded, strict=True):
                writer.add(moment, key, data)
            writer.close()
        with contextlib.suppress(OSError):
            writer.close()
    boxes(path.read_bytes())  # whole boxes only
    shown = play(path)
    assert [t for t, _ in shown] == pytest.approx(times(len(shown)), abs=0.001)
    assert bool(shown) == (writer.seconds > 0) == (share > 0.4)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with FullDisk(tmp_path / "full.mp4", 100) as file, pytest.raises(OSError, match="No space left"):
        Mp4Writer(file, Track("mpeg4", *SIZE, b"\0\0\1\xb0"))


def test_times_that_do_not_rise_are_made_to() -> None:
    file = io.BytesIO()
    writer = Mp4Writer(file, Track("mpeg4", *SIZE, b"\0\0\1\xb0"))
    for moment in (0.0, 0.5, 0.5, 0.4, 3.0):
        writer.add(moment, True, b"x")
    writer.close()
    rows = [body for name, _, body in boxes(file.getvalue()) if name == "trun"]
    lengths = [
        struct.unpack_from(">I", body, 12 + 12 * i)[0]
        for body in rows
        for i in range(struct.unpack_from(">I", body, 4)[0])
    ]
    assert lengths[:3] == [45_000, 1, 1] and min(lengths) > 0


def test_a_pipe_gets_fragments_without_an_end(coded: list[tuple[bool, bytes, bytes]]) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    file = Pipe()
    write(file, coded).close()
    kinds = [name for name, _, _ in boxes(file.getvalue())]
    assert kinds[0] == "ftyp" and "mfra" not in kinds and kinds[-1] == "mdat"
