"""Picture files: order, kinds, orientation, and what is broken."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from edgecam.errors import FrameError, SourceError, UsageError
from edgecam.registry import SOURCES, load, parse_uri, source_uri
from edgecam.sources.images import ImagesSource, load_picture, natural
from edgecam.types import Frame
from tests.helpers.rights import nobody

RED, GREEN, BLUE = (200, 30, 40), (20, 170, 60), (30, 60, 220)


def quarters() -> pil.Image:
    """48x32: red above left, green above right, blue below left, black below right."""
    image = pil.new("RGB", (48, 32))
    image.paste(RED, (0, 0, 24, 16))
    image.paste(GREEN, (24, 0, 48, 16))
    image.paste(BLUE, (0, 16, 24, 32))
    return image


def near(pixel: np.ndarray, color: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.abs(pixel.astype(int) - color).max() <= tolerance)


def read_all(source: ImagesSource) -> list[Frame]:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def names(text: str) -> list[str]:
    return [f.name for f in read_all(ImagesSource(source_uri(text)))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("10.jpg", "2.jpg", "1.PNG", "sub/3.webp", "._2.jpg"):
        quarters().save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_folder_in_natural_order(folder: Path) -> None:
    source = ImagesSource(source_uri(str(folder)))
    frames = read_all(source)
    assert [f.name for f in frames] == ["1.PNG", "2.jpg", "10.jpg"]
    assert [f.seq for f in frames] == [0, 1, 2]
    assert (source.live, source.total, source.broken) == (False, 3, 0)


def test_folders_below_are_asked_for(folder: Path) -> None:
    found = names(f"images:{folder}?recursive=yes")
    assert found == ["1.PNG", "2.jpg", "10.jpg", "sub/3.webp"]


def test_globs_and_single_files(folder: Path) -> None:
    assert names(f"{folder}/*.jpg") == ["2.jpg", "10.jpg"]
    assert names(f"{folder}/**/*.[jw]*") == ["2.jpg", "10.jpg", "sub/3.webp"]
    assert names(f"{folder}/10.jpg") == ["10.jpg"]


def test_a_name_with_glob_signs_is_a_name(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a[1].png")
    assert names(f"{tmp_path}/a[1].png") == ["a[1].png"]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg", "webp"])
def test_colour_order_is_rgb(tmp_path: Path, suffix: str) -> None:
    quarters().resize((480, 320), pil.Resampling.NEAREST).save(tmp_path / f"a.{suffix}")
    image = load_picture(tmp_path / f"a.{suffix}")
    assert image.shape == (320, 480, 3) and image.dtype == np.uint8
    assert near(image[80, 120], RED)
    assert near(image[80, 360], GREEN)
    assert near(image[240, 120], BLUE)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (2, pil.Transpose.FLIP_LEFT_RIGHT),
        (3, pil.Transpose.ROTATE_180),
        (4, pil.Transpose.FLIP_TOP_BOTTOM),
        (5, pil.Transpose.TRANSPOSE),
        (6, pil.Transpose.ROTATE_90),
        (7, pil.Transpose.TRANSVERSE),
        (8, pil.Transpose.ROTATE_270),
    ],
)
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, turn: pil.Transpose) -> None:
    """A camera that was turned stores the picture turned, and says so."""
    upright = quarters().resize((480, 320), pil.Resampling.NEAREST)
    exif = pil.Exif()
    exif[0x0112] = orientation
    upright.transpose(turn).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = load_picture(tmp_path / "a.jpg")
    assert image.shape == (320, 480, 3)
    assert near(image[80, 120], RED) and near(image[80, 360], GREEN) and near(image[240, 120], BLUE)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    for name in ("a.png", "a.tif"):
        pil.fromarray(values).save(tmp_path / name)
        image = load_picture(tmp_path / name)
        assert np.array_equal(image, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_float_tiff(tmp_path: Path) -> None:
    pil.fromarray(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)).save(tmp_path / "a.tif")
    assert load_picture(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 128, 255, 0]


def test_gray_palette_cmyk_and_alpha_become_rgb(tmp_path: Path) -> None:
    pil.new("L", (4, 4), 77).save(tmp_path / "gray.png")
    assert load_picture(tmp_path / "gray.png")[1, 2].tolist() == [77, 77, 77]

    quarters().convert("P", palette=pil.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert near(load_picture(tmp_path / "palette.png")[8, 12], RED)

    pil.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    assert near(load_picture(tmp_path / "cmyk.jpg")[8, 8], (255, 0, 0), 20)

    clear = quarters().convert("RGBA")
    clear.putalpha(pil.linear_gradient("L").resize((48, 32)).point(lambda v: 255 * (v > 127)))
    clear.save(tmp_path / "alpha.png")
    image = load_picture(tmp_path / "alpha.png")
    assert image[2, 12].tolist() == [255, 255, 255]
    assert image[30, 12].tolist() == list(BLUE)


def test_broken_pictures_are_skipped_counted_and_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (folder / "10.jpg").read_bytes()
    (folder / "3.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "4.jpg").write_bytes(b"")
    (folder / "5.png").write_text("hello")
    source = ImagesSource(source_uri(str(folder)))
    with caplog.at_level(logging.WARNING):
        frames = read_all(source)
    assert [(f.seq, f.name) for f in frames] == [(0, "1.PNG"), (1, "2.jpg"), (5, "10.jpg")]
    assert (source.broken, source.total) == (3, 6)
    assert all(name in caplog.text for name in ("3.jpg", "4.jpg", "5.png"))


def test_broken_pictures_are_counted_once_in_a_loop(folder: Path) -> None:
    (folder / "3.jpg").write_bytes(b"\xff\xd8\xff")
    source = ImagesSource(source_uri(f"images:{folder}?loop=yes&fps=1000"))
    source.open()
    assert source.live and source.total is None
    frames = [source.read() for _ in range(8)]
    assert [f.name for f in frames if f] == ["1.PNG", "2.jpg", "10.jpg"] * 2 + ["1.PNG", "2.jpg"]
    assert [f.seq for f in frames if f] == [0, 1, 3, 4, 5, 7, 8, 9]
    assert source.broken == 1


def test_a_loop_whose_pictures_all_vanish_ends(folder: Path) -> None:
    source = ImagesSource(source_uri(f"images:{folder}?loop=yes&fps=1000"))
    source.open()
    assert all(source.read() for _ in range(3))
    for path in folder.glob("*.*"):
        path.unlink()
    with pytest.raises(SourceError, match="none of 3 pictures"):
        source.read()


def test_slide_show_keeps_its_pace(folder: Path) -> None:
    source = ImagesSource(parse_uri(f"images:{folder}?fps=20"))
    assert source.live
    frames = read_all(source)
    assert [f.name for f in frames] == ["1.PNG", "2.jpg", "10.jpg"]
    assert frames[2].times.captured - frames[0].times.captured >= 2 / 20 - 1e-3


def test_a_picture_that_vanished_is_skipped(folder: Path) -> None:
    source = ImagesSource(source_uri(str(folder)))
    source.open()
    (folder / "2.jpg").unlink()
    assert [f.name for f in iter(source.read, None)] == ["1.PNG", "10.jpg"]
    assert source.broken == 1


def test_errors_name_the_place(tmp_path: Path) -> None:
    for text, says in (
        (f"images:{tmp_path}", "holds no picture"),
        (f"{tmp_path}/*.jpg", "holds no picture"),
        (f"{tmp_path}/no.jpg", "no such picture"),
        ("images:", "names no picture"),
    ):
        with pytest.raises(SourceError, match=says) as error:
            ImagesSource(source_uri(text)).open()
        assert "\n" not in str(error.value) and error.value.exit_code == 1


def test_a_folder_without_rights(folder: Path) -> None:
    folder.chmod(0)
    try:
        with nobody(), pytest.raises(SourceError, match="Permission denied"):
            ImagesSource(source_uri(f"images:{folder}")).open()
    finally:
        folder.chmod(0o700)


def test_nothing_but_broken_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(SourceError, match=r"a\.jpg is not a picture"):
        read_all(ImagesSource(source_uri(str(tmp_path / "a.jpg"))))
    (tmp_path / "b.jpg").write_text("text")
    with pytest.raises(SourceError, match="none of 2 pictures"):
        read_all(ImagesSource(parse_uri(f"images:{tmp_path}?loop=yes&fps=1000")))


def test_wrong_options_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'recursive'"):
        ImagesSource(parse_uri("images:x?recursiv=yes"))


@pytest.mark.real
def test_real_pictures(real: Path) -> None:
    frames = read_all(ImagesSource(source_uri(str(real))))
    assert [(f.name, f.size) for f in frames] == [
        ("bus.jpg", (810, 1080)),
        ("cat.bmp", (512, 341)),
        ("cat_720p.jpg", (1280, 720)),
        ("face.jpg", (512, 355)),
        ("parrot.jpg", (512, 929)),
    ]


def test_natural_order_counts() -> None:
    assert sorted(["b10", "b9", "B1", "a"], key=natural) == ["a", "B1", "b9", "b10"]


@given(
    cut=st.integers(0, 900), flips=st.lists(st.tuples(st.integers(0, 899), st.integers(1, 255)), max_size=6)
)
def test_damaged_files_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    pil.fromarray(noise).save(path)
    data = bytearray(path.read_bytes())
    for at, change in flips:
        if at < len(data):
            data[at] ^= change
    path.write_bytes(bytes(data[:cut] if cut < 900 else data))
    try:
        assert load_picture(path).dtype == np.uint8
    except FrameError as error:
        assert str(path) in str(error)


def test_registered() -> None:
    assert load(SOURCES, "source", "images") is ImagesSource
