"""What has to be known of each picture file before it goes into a split, found in one reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgecam.errors import FrameError
from edgecam.sources.images import load_picture
from edgecam.types import Image

THUMB = 16  # side of the thumbnails by which near duplicates are confirmed
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Facts:
    """One picture file.

    Attributes:
        path: the file.
        content: sha256 of the file's bytes, hexadecimal.
        pixels: sha256 of its size and its upright RGB pixels: the same for a copy with other metadata or in
            another lossless format.
        size: (width, height), upright.
        dhash: 64-bit difference hash, see :func:`dhash`.
        thumb: THUMB x THUMB x 3 bytes.
    """

    path: Path
    content: str
    pixels: str
    size: tuple[int, int]
    dhash: int
    thumb: bytes


def read(path: Path) -> Facts:
    """Read and decode a picture.

    Raises:
        FrameError: not a picture, broken or not readable.
    """
    image = load_picture(path)
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    pixels = hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()
    thumb = cv2.resize(image, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return Facts(path, content, pixels, (image.shape[1], image.shape[0]), dhash(image), thumb.tobytes())


def dhash(image: Image) -> int:
    """Difference hash: is each of 8 x 8 cells of the grey picture, shrunk to 9 x 8, darker than its right
    neighbour? Survives rescaling, recompression and changes of brightness.

    Source: Neal Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013.

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        64 bits, row by row from the highest.
    """
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(small[:, :-1] < small[:, 1:]).tobytes(), "big")


def read_all(
    paths: Sequence[Path], progress: Callable[[int, int], None] | None = None
) -> Iterator[Facts | FrameError]:
    """:func:`read` for many, in order, with all cores; an unreadable picture gives its error.

    Args:
        paths: the files.
        progress: called with (done, in all) now and then.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # In batches: a queue of 100,000 decoded pictures' futures would grow without need.
        for start in range(0, len(paths), _BATCH):
            yield from pool.map(_try, paths[start : start + _BATCH])
            if progress is not None:
                progress(min(start + _BATCH, len(paths)), len(paths))


def _try(path: Path) -> Facts | FrameError:
    try:
        return read(path)
    except FrameError as error:
        return error
