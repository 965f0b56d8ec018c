"""Calibration pictures: the pixels that the device's preprocessing makes, and what is suspicious."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from converters import calibrate
from edgecam.contract import ModelSpec
from edgecam.errors import FrameError
from edgecam.preprocess import Preprocessor
from edgecam.sources.images import load_picture
from edgecam.types import TensorInfo


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        pil.fromarray(rng.integers(0, 256, (40 + number, 60, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize(
    ("color", "mean", "std"),
    [
        ("rgb", (127.5,), (127.5,)),
        ("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
        ("gray", (0.0,), (255.0,)),
    ],
)
def test_the_same_numbers_as_on_the_device(
    pictures: list[Path], resize: str, color: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    spec = ModelSpec("m", "classify", "classify", color=color, resize=resize, mean=mean, std=std)  # type: ignore[arg-type]
    channels = 1 if color == "gray" else 3
    info = TensorInfo("image", (1, 32, 24, channels), np.dtype(np.float32))
    device = Preprocessor(spec, info)
    wanted = np.concatenate([device.from_image(load_picture(path))[0].copy() for path in pictures])
    laid = calibrate.laid(pictures, spec, (32, 24))
    assert (laid.dtype, laid.shape) == (np.uint8, (3, 32, 24, channels))
    np.testing.assert_array_equal(calibrate.normalised(laid, spec), wanted)


def test_broken_pictures_are_left_out_unless_all_are(pictures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    spec = ModelSpec("m", "classify", "classify")
    seen: list[tuple[int, int | None]] = []
    laid = calibrate.laid([broken, *pictures], spec, (8, 8), lambda done, total: seen.append((done, total)))
    assert len(laid) == 3
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(FrameError, match="broken"):
        calibrate.laid([broken], spec, (8, 8))


def test_the_histogram_counts_every_value() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert calibrate.histogram(values) == [48] * 16
    assert calibrate.bars([0, 1, 8]) == " ▁█"
    assert calibrate.bars([0, 0]) == "  "


def test_pictures_of_the_wrong_range() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    assert calibrate.scale_warning(right) == ""
    tiny = calibrate.scale_warning(right // 255)
    assert "0 to 1" in tiny
    assert "|█               | 255" in tiny
    assert "nearly black" in calibrate.scale_warning(right // 8)
    assert "nearly uniform" in calibrate.scale_warning(200 + right // 16)
