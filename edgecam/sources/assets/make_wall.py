"""Makes ``wall.jpg``, the picture that ``demo:`` moves over, from four photographs; see README.md here.

Run by hand, never imported: ``python make_wall.py FOLDER_WITH_THE_PHOTOGRAPHS``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgecam.types import Array, Image

SIZE = (2240, 1260)


@dataclass(frozen=True)
class Print:
    """A photograph on the wall.

    Attributes:
        file: its name.
        crop: x1, y1, x2, y2 as shares of the photograph.
        center: of the print, in wall pixels.
        height: of the photograph on the wall, in pixels, without its white border.
        tilt: degrees, counter-clockwise.
    """

    file: str
    crop: tuple[float, float, float, float]
    center: tuple[int, int]
    height: int
    tilt: float


PRINTS = (
    Print("astronaut.png", (0.06, 0.0, 0.70, 0.74), (350, 500), 590, 1.4),
    Print("chelsea.png", (0.0, 0.0, 1.0, 1.0), (1110, 345), 530, -0.8),
    Print("grace_hopper.jpg", (0.0, 0.0, 1.0, 1.0), (1860, 560), 640, 1.1),
    Print("coffee.png", (0.0, 0.0, 1.0, 1.0), (1060, 940), 500, -1.2),
)
BORDER = 16


def wall() -> Array:
    """Plaster in warm gray, lit from above left, float (H, W, 3), RGB."""
    width, height = SIZE
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 1.03 - 0.20 * np.hypot(x - 0.35, 0.8 * (y - 0.2))
    rng = np.random.default_rng(1)
    coarse = cv2.resize(rng.normal(0, 1.6, (height // 8, width // 8)), SIZE, interpolation=cv2.INTER_CUBIC)
    plaster = np.array([202.0, 194.0, 182.0]) * light[..., None] + coarse[..., None]
    return np.asarray(plaster)


def load(item: Print, folder: Path) -> Array:
    """The cropped, enlarged and slightly sharpened photograph with its white border, float, RGB."""
    bgr = cv2.imread(str(folder / item.file))
    if bgr is None:
        raise SystemExit(f"{folder / item.file} is missing: see README.md beside this script")
    height, width = bgr.shape[:2]
    x1, y1, x2, y2 = (round(v * n) for v, n in zip(item.crop, (width, height) * 2, strict=True))
    photo = cv2.cvtColor(bgr[y1:y2, x1:x2], cv2.COLOR_BGR2RGB)
    scale = item.height / photo.shape[0]
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(photo, (0, 0), 2.0)
    sharp = cv2.addWeighted(photo, 1.45, soft, -0.45, 0)
    framed = cv2.copyMakeBorder(
        sharp, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT, value=(246, 245, 242)
    )
    return np.asarray(framed, np.float64)


def hang(onto: Array, item: Print, photo: Array) -> Array:
    """The wall with one more print on it, and the print's shadow."""
    height, width = photo.shape[:2]
    place = cv2.getRotationMatrix2D((width / 2, height / 2), item.tilt, 1.0)
    place[:, 2] += np.array(item.center) - (width / 2, height / 2)
    # A transparent rim, so that the tilted edges are smooth.
    cover = cv2.warpAffine(np.pad(np.ones((height - 2, width - 2)), 1), place, SIZE)
    laid = cv2.warpAffine(photo, place, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    shadow = cv2.GaussianBlur(np.roll(cover, (14, 8), (0, 1)), (0, 0), 14) * 0.42
    dark = onto * (1 - shadow[..., None])
    return np.asarray(dark * (1 - cover[..., None]) + laid * cover[..., None])


def main() -> None:
    folder = Path(sys.argv[1])
    picture = wall()
    for item in PRINTS:
        picture = hang(picture, item, load(item, folder))
    rgb: Image = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    target = Path(__file__).with_name("wall.jpg")
    cv2.imwrite(str(target), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
