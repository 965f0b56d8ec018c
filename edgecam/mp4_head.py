"""What the header of a film says: when it began, how long it is, and which players can show it.

Reads what :mod:`edgecam.mp4` writes, with the header first (ISO/IEC 14496-12); types as RFC 6381 names them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST = 4096  # bytes: ours have some 800
_EPOCH = 2_082_844_800  # seconds from 1904, where the times of MP4 begin, to 1970
_VISUAL = 78  # bytes of a visual sample entry before the boxes in it
_MVHD = struct.Struct(">B3xQ8xIQ")
_OBJECT_TYPE = 17  # place in an esds box whose descriptors have lengths of four bytes


@dataclass(frozen=True, slots=True)
class Head:
    """
    Attributes:
        began: when the first picture was taken, seconds since 1970; 0.0 for unknown.
        seconds: its length; 0.0 where its writer was killed before it could say so.
        media_type: with the codec, as ``canPlayType`` of a browser takes it.
    """

    began: float
    seconds: float
    media_type: str


def read_head(file: BinaryIO) -> Head:
    """The header of a file that is open for reading, at its beginning.

    Raises:
        ValueError: not a film of ours.
    """
    data = file.read(_MOST)
    try:
        moov = _find(data, "moov")
        version, made, scale, duration = _MVHD.unpack_from(_find(moov, "mvhd"))
        codec = _codec(_find(moov, "trak", "mdia", "minf", "stbl", "stsd")[8:])
    except (struct.error, IndexError) as error:
        raise ValueError("its header is cut off") from error
    if version != 1 or not scale:
        raise ValueError("its header is of another kind")
    began = float(made - _EPOCH) if made > _EPOCH else 0.0
    return Head(began, duration / scale, f'video/mp4; codecs="{codec}"')


def _codec(entries: bytes) -> str:
    kind, entry = next(_boxes(entries), ("", b""))
    if kind == "avc1":
        config = _find(entry[_VISUAL:], "avcC")
        return f"avc1.{config[1]:02x}{config[2]:02x}{config[3]:02x}"
    if kind == "mp4v":
        return f"mp4v.{_find(entry[_VISUAL:], 'esds')[_OBJECT_TYPE]:02x}"
    raise ValueError("its codec is none of ours")


def _find(data: bytes, *path: str) -> bytes:
    """What is in a box, found by the names of those around it."""
    for name in path:
        data = next((body for kind, body in _boxes(data) if kind == name), b"")
        if not data:
            raise ValueError(f"it has no {name}")
    return data


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Kind and contents; the last may be cut off where ``data`` ends."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind.decode("latin-1"), data[at + 8 : at + size]
        at += size
