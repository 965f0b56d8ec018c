"""The quick way to read a picture gives what the slow way gives, to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from converters.reading import read
from edgecam.errors import FrameError
from edgecam.sources.images import load_picture
from tests.helpers.pictures import save, scene


def rotated() -> pil.Exif:
    exif = pil.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "options",
    [{}, {"quality": 95, "subsampling": 0}, {"quality": 30}, {"progressive": True}, {"exif": rotated()}],
    ids=["plain", "fine", "coarse", "progressive", "rotated"],
)
@pytest.mark.parametrize("size", [(48, 36), (47, 33), (227, 227)])
def test_the_same_pixels(tmp_path: Path, options: dict[str, object], size: tuple[int, int]) -> None:
    path = save(tmp_path / "a.jpg", scene(1, *size), **options)
    np.testing.assert_array_equal(read(path), load_picture(path))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    pil.fromarray(scene(2)).convert(mode).save(path)
    np.testing.assert_array_equal(read(path), load_picture(path))


def test_turned_by_an_editor(tmp_path: Path) -> None:
    """Pillow goes by XMP where there is no Exif."""
    said = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    path = save(tmp_path / "a.jpg", scene(5, 48, 36), xmp=said)
    assert load_picture(path).shape == (48, 36, 3)
    np.testing.assert_array_equal(read(path), load_picture(path))


def test_not_by_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    pil.fromarray(scene(3)).save(path, format="PNG")
    np.testing.assert_array_equal(read(path), scene(3))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe1 no more", b"text"])
def test_broken(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(FrameError, match=r"a\.jpg"):
        read(path)


def test_truncated_as_the_slow_way_has_it(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", scene(4, 200, 200))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(FrameError, match="cannot be read"):
        load_picture(path)
    with pytest.raises(FrameError, match="cannot be read"):
        read(path)


def test_gone(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"none\.jpg"):
        read(tmp_path / "none.jpg")
