"""What is found out of a picture, and which are nearly the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from converters.data import facts, near
from converters.data.facts import Facts
from edgecam.errors import FrameError
from edgecam.types import Image
from tests.helpers.pictures import save, scene


def test_dhash_by_hand() -> None:
    """Rows of nine cells: brighter to the right gives ones, darker zeros, equal zeros."""
    rows = np.zeros((8, 9), np.uint8)
    rows[0] = np.arange(9) * 10
    rows[1] = 200 - np.arange(9) * 10
    rows[7] = [0, 9, 0, 9, 0, 9, 0, 9, 0]
    image = np.repeat(np.repeat(rows, 4, 0), 4, 1)[..., None].repeat(3, 2)
    assert facts.dhash(image) == 0xFF << 56 | 0b10101010


def near_groups(images: list[Image]) -> list[list[int]]:
    return near.groups([fact(i, image) for i, image in enumerate(images)])


def fact(number: int, image: Image) -> Facts:
    thumb = cv2.resize(image, (facts.THUMB, facts.THUMB), interpolation=cv2.INTER_AREA)
    size = (image.shape[1], image.shape[0])
    return Facts(Path(str(number)), str(number), str(number), size, facts.dhash(image), thumb.tobytes())


def recompressed(image: Image, quality: int) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda image: cv2.resize(image, None, fx=1.7, fy=1.7),
        lambda image: recompressed(image, 30),
        lambda image: np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8),
    ],
    ids=["half", "larger", "recompressed", "brighter"],
)
def test_changed_copies_are_near_duplicates(change: object) -> None:
    images = [scene(n, 160, 120) // 2 + 40 for n in range(40)]
    copies = [change(images[n]) for n in (3, 17)]  # type: ignore[operator]
    assert near_groups([*images, *copies]) == [[3, 40], [17, 41]]


def test_a_shared_gradient_is_no_duplicate() -> None:
    """Sky over land and a lamp over a table have the same hash; their thumbnails differ."""
    ramp = np.linspace(0, 255, 90).astype(np.uint8)
    steep = np.tile(ramp, (80, 1))[..., None].repeat(3, 2)
    flat = steep // 4
    assert facts.dhash(steep) == facts.dhash(flat)
    assert near_groups([steep, flat]) == []


def test_chains_make_one_group() -> None:
    """Each is near the next, the first and the last are not near."""
    base = scene(1, 160, 120).astype(int)
    other = scene(2, 160, 120).astype(int)
    chain = [(base + (other - base) * step / 12).astype(np.uint8) for step in range(13)]
    assert near_groups([chain[0], chain[-1]]) == []
    assert near_groups(chain) == [list(range(13))]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=30), st.data())
def test_candidates_are_all_found(hashes: list[int], data: st.DataObject) -> None:
    """The search by bands gives what comparing all with all gives."""
    for _ in range(5):  # neighbours are rare among random numbers
        bits = data.draw(st.lists(st.integers(0, 63), max_size=near.BITS + 2, unique=True))
        hashes.append(hashes[data.draw(st.integers(0, len(hashes) - 1))] ^ sum(1 << bit for bit in bits))
    thumb = bytes(facts.THUMB**2 * 3)
    found = near.groups([Facts(Path(), "", "", (1, 1), h, thumb) for h in hashes])
    together = {i: group for group in found for i in group}
    for i, a in enumerate(hashes):
        for j, b in enumerate(hashes[:i]):
            if (a ^ b).bit_count() <= near.BITS:
                assert together[i] is together[j]
    pairs = {(i, j) for group in found for i in group for j in group}
    linked = {i for i, j in pairs if i != j and (hashes[i] ^ hashes[j]).bit_count() <= near.BITS}
    assert linked == set(together)


def test_pixels_and_bytes_are_told_apart(tmp_path: Path) -> None:
    plain = save(tmp_path / "a.png", scene(1))
    again = save(tmp_path / "b.png", scene(1), compress_level=0)
    other = save(tmp_path / "c.png", scene(2))
    a, b, c = (facts.read(path) for path in (plain, again, other))
    assert a.pixels == b.pixels != c.pixels
    assert a.content != b.content
    assert a.size == (48, 36)


def test_pixels_are_upright_ones(tmp_path: Path) -> None:
    turned = pil.fromarray(np.rot90(scene(1), 1))
    exif = turned.getexif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)
    assert facts.read(tmp_path / "turned.png").pixels == facts.read(save(tmp_path / "a.png", scene(1))).pixels


def test_all_in_order_with_the_broken_one_in_its_place(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n}.png", scene(n)) for n in range(5)]
    paths[2].write_bytes(b"no picture")
    done: list[tuple[int, int]] = []
    found = list(facts.read_all(paths, lambda *numbers: done.append(numbers)))
    assert [f.path for f in found if isinstance(f, Facts)] == [p for p in paths if p != paths[2]]
    assert isinstance(found[2], FrameError)
    assert done[-1] == (5, 5)
