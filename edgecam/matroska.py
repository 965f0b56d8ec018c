"""Coded pictures out of a Matroska stream, as they come.

Matroska (RFC 9559) is a tree of elements: identifier, size, contents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

_SEGMENT, _TRACKS, _TRACK, _CLUSTER, _GROUP_OF_BLOCK = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0
_ENTERED = {_SEGMENT, _TRACKS, _TRACK, _CLUSTER, _GROUP_OF_BLOCK}
_CODEC_PRIVATE, _SIMPLE_BLOCK, _BLOCK = 0x63A2, 0xA3, 0xA1


def coded_pictures(stream: IO[bytes]) -> Iterator[tuple[bool, bytes, bytes]]:
    """The pictures of a Matroska stream with one video track, as they come.

    Args:
        stream: read to its end; a cut off last element is left out.

    Yields:
        Whether it is a key picture, its data, and the codec's configuration.
    """
    config = b""
    while True:
        element, size = _number(stream, keep_marker=True), _number(stream)
        if element is None or size is None:
            return
        if element in _ENTERED:
            continue
        body = stream.read(size)
        if len(body) < size:
            return
        if element == _CODEC_PRIVATE:
            config = body
        elif element in {_SIMPLE_BLOCK, _BLOCK}:  # track number, time (2), flags, then the picture
            yield element == _SIMPLE_BLOCK and bool(body[3] & 0x80), body[4:], config


def _number(stream: IO[bytes], keep_marker: bool = False) -> int | None:
    """A number of variable length: the leading zero bits of its first byte tell how many bytes follow."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = stream.read(length - 1)
    if len(rest) < length - 1:
        return None
    value = first[0] if keep_marker else first[0] ^ (1 << (8 - length))
    return value << 8 * (length - 1) | int.from_bytes(rest, "big")
