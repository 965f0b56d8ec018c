"""Calibration pictures for the bundled detector: photographs that anybody may ship.

They come out of scikit-image's wheel, whose documentation names each one's author and licence.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.bundled.packages import PHOTOGRAPHS, fetch, member
from edgecam.types import Image


@dataclass(frozen=True)
class Photograph:
    """A photograph, whose it is, and what it shows."""

    file: str
    shows: str
    author: str
    licence: str


ALL = (
    Photograph("astronaut.png", "portrait of Eileen Collins, flag, shuttle", "NASA", "public domain"),
    Photograph("camera.png", "man with a camera on a tripod, grey", "Lav Varshney", "CC0"),
    Photograph("chelsea.png", "cat", "Stefan van der Walt", "CC0"),
    Photograph("coffee.png", "cup, spoon and table", "Rachel Michetti", "CC0"),
    Photograph("rocket.jpg", "launch at night", "SpaceX", "public domain"),
)


def load(cache: Path) -> list[Image]:
    """All of them, RGB uint8 (H, W, 3).

    Raises:
        EdgecamError: the package cannot be fetched.
    """
    from PIL import Image as Pillow

    wheel = fetch(PHOTOGRAPHS, cache)
    files = (io.BytesIO(member(wheel, f"skimage/data/{photograph.file}")) for photograph in ALL)
    return [np.asarray(Pillow.open(file).convert("RGB")) for file in files]


def views(picture: Image) -> Iterator[Image]:
    """A picture whole, and its corners and middle at two thirds and at half its size, each also mirrored.

    Fixed views rather than random ones: every run calibrates on the same pixels.
    """
    height, width = picture.shape[:2]
    yield from _mirrored(picture)
    for share in (2 / 3, 1 / 2):
        h, w = round(height * share), round(width * share)
        low, right = height - h, width - w
        for y, x in ((0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)):
            yield from _mirrored(picture[y : y + h, x : x + w])


def _mirrored(picture: Image) -> tuple[Image, Image]:
    return np.ascontiguousarray(picture), np.ascontiguousarray(picture[:, ::-1])
