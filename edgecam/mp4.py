"""A fragmented MP4 file, written as the pictures come.

ISO/IEC 14496-12 with movie fragments: the header comes first, then each second or so of video with a small
index of its own. The file plays at any moment, however it ends (killed, disk full, power cut), and each
picture has its own time, so a camera's uneven rate is kept as it was. On a clean end the duration and an
index for seeking are added.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import BinaryIO

TIMESCALE = 90_000  # ticks a second
_EPOCH = 2_082_844_800  # seconds from 1904, where the times of MP4 begin, to 1970
_OBJECT_TYPES = {"mpeg4": 0x20, "jpeg": 0x6C}  # ISO/IEC 14496-1, as registered at mp4ra.org
FRAGMENT_SECONDS = 1.0
_SYNC, _NOT_SYNC = 0x02000000, 0x01010000  # sample_depends_on and sample_is_non_sync_sample
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True)
class Track:
    """What the header says of the video.

    Attributes:
        codec: ``mpeg4`` (MPEG-4 part 2), ``h264``, or ``jpeg`` (each picture a whole JPEG file).
        width, height: in pixels.
        config: ``mpeg4``: the VOL header; ``h264``: the AVC decoder configuration record; ``jpeg``: nothing.
    """

    codec: str
    width: int
    height: int
    config: bytes = b""


class Mp4Writer:
    """Writes one video track into a file.

    Each sample's duration is the time to the next one; the last gets that of the one before. Samples are kept
    until their fragment is full (about a second), so that much is lost if the process dies.

    Args:
        file: open for writing in binary mode, at its beginning; unbuffered, so that errors of the disk are
            met where they happen. If it cannot seek, duration and index are left out.
        track: the video.
        created: when its first picture was taken, seconds since 1970; 0.0 for unknown.
    """

    def __init__(self, file: BinaryIO, track: Track, created: float = 0.0) -> None:
        self._file = file
        self._track = track
        self._created = created
        self._samples: list[tuple[int, bool, bytes]] = []  # start in ticks, is a key picture, data
        self._sequence = 0
        self._last_duration = TIMESCALE // 30
        self._end = 0  # in ticks, of what is in the file
        # Start in ticks and place in the file of each fragment that begins with a key picture.
        self._index = array("Q")
        header = _header(track, 0, created)
        _write_all(file, header)
        self._good = len(header)  # bytes in the file up to which it is whole

    @property
    def seconds(self) -> float:
        """Length of what is in the file."""
        return self._end / TIMESCALE

    def add(self, seconds: float, key: bool, data: bytes) -> None:
        """Add a picture that is shown from ``seconds`` on; times must rise.

        Raises:
            OSError: the disk is full or broken; what is in the file still plays.
        """
        start = round(seconds * TIMESCALE)
        if self._samples:
            start = max(start, self._samples[-1][0] + 1)
            self._last_duration = min(start - self._samples[-1][0], 0xFFFFFFFF)
            length = start - self._samples[0][0]
            if length >= (1 if key else 2) * FRAGMENT_SECONDS * TIMESCALE:
                self._flush(start)
        self._samples.append((start, key, data))

    def close(self) -> None:
        """Write what waits, the index and the duration. The file itself stays open.

        Raises:
            OSError: the disk is full or broken; what is in the file still plays.
        """
        try:
            if self._samples:
                self._flush(self._samples[-1][0] + self._last_duration)
        finally:
            if self._file.seekable():
                self._file.seek(0)
                _write_all(
                    self._file, _header(self._track, self._end, self._created)
                )  # over the old one: needs no room
                self._file.seek(self._good)
                self._append(_mfra(self._index))

    def _flush(self, end: int) -> None:
        """Write the waiting samples as one fragment."""
        samples, self._samples = self._samples, []
        starts = [start for start, _, _ in samples] + [end]
        rows = b"".join(
            struct.pack(">III", min(after - start, 0xFFFFFFFF), len(data), _SYNC if key else _NOT_SYNC)
            for (start, key, data), after in zip(samples, starts[1:], strict=True)
        )
        self._sequence += 1
        head = _moof(self._sequence, starts[0], len(samples), rows)
        body = b"".join(data for _, _, data in samples)
        place = self._good
        self._append(head + _u32(8 + len(body)) + b"mdat" + body)
        self._end = end
        if samples[0][1]:
            self._index.extend((starts[0], place))

    def _append(self, data: bytes) -> None:
        """Write whole or not at all."""
        try:
            _write_all(self._file, data)
        except OSError:
            if self._file.seekable():
                self._file.seek(self._good)
                self._file.truncate()
            raise
        self._good += len(data)


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _u64(*values: int) -> bytes:
    return struct.pack(f">{len(values)}Q", *values)


def _box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _u32(8 + len(body)) + kind.encode() + body


def _full(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, _u32(version << 24 | flags), *parts)


def _header(track: Track, duration: int, created: float) -> bytes:
    """File type and movie; always of the same size, so that the duration can be filled in at the end."""
    return _box("ftyp", b"iso5", _u32(512), b"iso5iso6mp41") + _moov(track, duration, created)


def _moov(track: Track, duration: int, created: float) -> bytes:
    times = _u64(*[int(created) + _EPOCH if created > 0 else 0] * 2)  # made and changed
    mvhd = _full(
        "mvhd", 1, 0, times, _u32(TIMESCALE), _u64(duration), _u32(0x10000), _u16(0x100), bytes(10), _MATRIX,
        bytes(24), _u32(2),
    )  # fmt: skip
    tkhd = _full(
        "tkhd", 1, 3, times, _u32(1, 0), _u64(duration), bytes(16), _MATRIX,
        _u32(track.width << 16, track.height << 16),
    )  # fmt: skip
    mdhd = _full("mdhd", 1, 0, times, _u32(TIMESCALE), _u64(duration), _u16(0x55C4, 0))  # language: und
    hdlr = _full("hdlr", 0, 0, _u32(0), b"vide", bytes(12), b"edgecam\0")
    dinf = _box("dinf", _full("dref", 0, 0, _u32(1), _full("url ", 0, 1)))
    empty = [_full("stts", 0, 0, _u32(0)), _full("stsc", 0, 0, _u32(0)), _full("stsz", 0, 0, _u32(0, 0))]
    stbl = _box("stbl", _full("stsd", 0, 0, _u32(1), _entry(track)), *empty, _full("stco", 0, 0, _u32(0)))
    minf = _box("minf", _full("vmhd", 0, 1, bytes(8)), dinf, stbl)
    trak = _box("trak", tkhd, _box("mdia", mdhd, hdlr, minf))
    mvex = _box("mvex", _full("mehd", 1, 0, _u64(duration)), _full("trex", 0, 0, _u32(1, 1, 0, 0, 0)))
    return _box("moov", mvhd, trak, mvex)


def _entry(track: Track) -> bytes:
    """The sample entry."""
    h264 = track.codec == "h264"
    config = _box("avcC", track.config) if h264 else _esds(track)
    size = _u16(track.width, track.height)
    resolution = _u32(0x480000, 0x480000, 0)  # 72 dpi
    head = bytes(6) + _u16(1) + bytes(16) + size + resolution + _u16(1) + bytes(32) + _u16(24, 0xFFFF)
    return _box("avc1" if h264 else "mp4v", head, config)


def _esds(track: Track) -> bytes:
    """ISO/IEC 14496-1 descriptors of an elementary stream."""
    decoder = bytes((_OBJECT_TYPES[track.codec], 0x11))  # a visual stream
    decoder += bytes(3) + _u32(0, 0) + (_descriptor(5, track.config) if track.config else b"")
    return _full(
        "esds", 0, 0, _descriptor(3, _u16(1) + b"\0" + _descriptor(4, decoder) + _descriptor(6, b"\2"))
    )


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    return (
        bytes((tag, 0x80 | size >> 21, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F)) + body
    )


def _moof(sequence: int, start: int, count: int, rows: bytes) -> bytes:
    mfhd = _full("mfhd", 0, 0, _u32(sequence))
    tfhd = _full("tfhd", 0, 0x020000, _u32(1))  # offsets count from this fragment
    tfdt = _full("tfdt", 1, 0, _u64(start))

    def moof(offset: int) -> bytes:  # duration, size and flags of each sample follow
        trun = _full("trun", 0, 0x000701, _u32(count, offset), rows)
        return _box("moof", mfhd, _box("traf", tfhd, tfdt, trun))

    return moof(len(moof(0)) + 8)


def _mfra(index: array[int]) -> bytes:
    """Where the fragments are, for players that seek."""
    rows = b"".join(
        _u64(index[i], index[i + 1]) + b"\1\1\1" for i in range(0, len(index), 2)
    )  # traf, trun and sample number
    tfra = _full("tfra", 1, 0, _u32(1, 0, len(index) // 2), rows)
    return _box("mfra", tfra, _full("mfro", 0, 0, _u32(8 + len(tfra) + 16)))


def whole_length(file: BinaryIO) -> int:
    """Bytes of an MP4 file of fragments, open for reading, up to which it is whole; 0 if it shows nothing."""
    end = file.seek(0, 2)
    at = whole = 0
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size < 8 or at + size > end:
            break
        at += size
        if kind in (b"mdat", b"mfra"):
            whole = at
    return whole
