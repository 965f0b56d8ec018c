"""Which pictures are nearly the same: copies rescaled, recompressed, retouched, or shot in one burst.

Two pictures are near duplicates if their difference hashes differ in at most :data:`BITS` of 64 bits and
their thumbnails, each less its mean colour, by at most :data:`LEVELS` grey levels on average. The hash
finds candidates fast; the thumbnails dismiss pictures that merely share a gradient (sky over land).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from converters.data.facts import Facts

BITS = 7
LEVELS = 10.0
_BANDS = BITS + 1  # pigeonhole: with at most BITS bits different, one of BITS + 1 bands is the same
_CHUNK = 256
_ONES = np.array([n.bit_count() for n in range(256)], np.uint8)

_Words = npt.NDArray[np.uint8]
_Thumbs = npt.NDArray[np.float32]


def groups(facts: Sequence[Facts]) -> list[list[int]]:
    """Indices of near duplicates, in groups of at least two; chains of them make one group."""
    parent = list(range(len(facts)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in _pairs(facts):
        low, high = sorted((find(a), find(b)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for i in range(len(facts)):
        found.setdefault(find(i), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def _pairs(facts: Sequence[Facts]) -> Iterator[tuple[int, int]]:
    if len(facts) < 2:
        return
    words: _Words = np.array([f.dhash for f in facts], np.uint64).view(np.uint8).reshape(-1, _BANDS)
    thumbs: _Thumbs = np.frombuffer(b"".join(f.thumb for f in facts), np.uint8).astype(np.float32)
    thumbs = thumbs.reshape(len(facts), -1, 3)
    thumbs = (thumbs - thumbs.mean(1, keepdims=True)).reshape(len(facts), -1)
    for band in range(_BANDS):
        order = np.argsort(words[:, band], kind="stable")
        edges = np.flatnonzero(np.diff(words[order, band])) + 1
        for members in np.split(order, edges):
            if len(members) > 1:
                yield from _within(members, words, thumbs)


def _within(members: npt.NDArray[np.intp], words: _Words, thumbs: _Thumbs) -> Iterator[tuple[int, int]]:
    for start in range(0, len(members), _CHUNK):
        rows = members[start : start + _CHUNK]
        others = members[start:]
        distance = sum(
            _ONES[words[rows, band][:, None] ^ words[others, band][None, :]] for band in range(_BANDS)
        )
        left, right = np.nonzero(np.asarray(distance) <= BITS)
        later = right > left
        a, b = rows[left[later]], others[right[later]]
        for part in range(0, len(a), 4096):
            close = np.abs(thumbs[a[part : part + 4096]] - thumbs[b[part : part + 4096]]).mean(1) <= LEVELS
            yield from zip(
                a[part : part + 4096][close].tolist(), b[part : part + 4096][close].tolist(), strict=True
            )
