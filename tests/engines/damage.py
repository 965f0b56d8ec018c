"""Damaging model files at the places that matter."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from edgecam.flatbuffer import root


def mutated(data: bytes, chance: random.Random, places: Sequence[int]) -> bytes:
    """A copy with one to four places overwritten by what damage and malice put there."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.choice(places)
        if chance.random() < 0.5:
            out[at] = chance.randrange(256)
        else:
            wild = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), chance.randrange(2**32))
            out[at : at + 4] = struct.pack("<I", chance.choice(wild))
    return bytes(out[: len(data)])


def structure(data: bytes) -> list[int]:
    """Positions that are not weights: the places where damage leads a reader astray."""
    weights = set()
    for table in root(data, b"TFL3").tables(4):
        count, first = table.vector(0, 1)
        if count > 64:
            weights.update(range(first, first + count))
    return [at for at in range(len(data)) if at not in weights]
