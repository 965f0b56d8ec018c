"""JPEG pictures as cameras send them: checked, and made whole where that is possible without decoding.

USB cameras leave out the Huffman tables (the AVI1 habit of Motion JPEG), pad the buffer after the picture, or
send half a picture when the bus is busy. Browsers and recorders want a complete file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from edgecam import jpeg
from edgecam.errors import FrameError
from edgecam.types import Image

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_DHT, _SOS = 0xC4, 0xDA
# Start of frame, all kinds but the three numbers of that row that mean something else (T.81, table B.1).
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def mend(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """A complete JPEG file and its (width, height) from one frame of a camera.

    Raises:
        FrameError: empty, cut off, or not a JPEG.
    """
    end = data.rfind(_EOI) + 2
    if not data.startswith(_SOI):
        raise FrameError(f"not a JPEG picture ({len(data)} bytes)")
    if end < 4:
        raise FrameError(f"JPEG picture cut off after {len(data)} bytes")
    size, tables = None, False
    for marker, start, _ in _segments(data):
        if marker in _SOF:
            size = int.from_bytes(data[start + 7 : start + 9]), int.from_bytes(data[start + 5 : start + 7])
        elif marker == _DHT:
            tables = True
        elif marker == _SOS and size and all(size):
            if tables:
                return data[:end], size
            return data[:start] + _huffman_tables() + data[start:end], size
    raise FrameError("JPEG picture with a broken header")


def decode(data: bytes, min_width: int = 0, min_height: int = 0) -> Image:
    """:func:`edgecam.jpeg.decode` that forgives what cameras do: stray bytes between two markers.

    Raises:
        FrameError: nothing can be decoded.
    """
    return jpeg.decode(data, min_width, min_height, strict=False)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to the first scan; stops silently where the header breaks."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield marker, at, end
        if marker == _SOS:
            return
        at = end


@functools.cache
def _huffman_tables() -> bytes:
    """The standard tables (T.81, annex K.3) as DHT segments: those that our own encoder writes."""
    sample = jpeg.encode(np.zeros((16, 16, 3), np.uint8))
    return b"".join(sample[start:end] for marker, start, end in _segments(sample) if marker == _DHT)
