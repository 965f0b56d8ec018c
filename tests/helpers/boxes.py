"""Pictures with a known box, and where it is found in a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam import jpeg
from edgecam.contract import ModelSpec
from edgecam.types import Array, Frame, Geometry, Image, TensorInfo

PLAIN = ModelSpec("plain", "detect", "yolov8")


def tensor_info(
    width: int,
    height: int,
    dtype: str = "uint8",
    scale: float = 1.0,
    zero_point: int = 0,
    channels: int = 3,
) -> TensorInfo:
    return TensorInfo("image", (1, height, width, channels), np.dtype(dtype), scale, zero_point)


def noise(width: int, height: int) -> Image:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def jpeg_frame(image: Image) -> Frame:
    size = (image.shape[1], image.shape[0])
    return Frame(0, jpeg=jpeg.encode(image, 95), size=size, decode=jpeg.decode)


def drawn_box(width: int, height: int, box: tuple[int, int, int, int]) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def edges(line: Array) -> tuple[float, float]:
    """Where a line of pixels rises above one half and falls under it, between pixels if need be."""
    values = line.astype(float) / 255
    above = np.flatnonzero(values > 0.5)
    first, last = above[0], above[-1]
    start, stop = float(first), float(last + 1)
    if first > 0:
        start = first + 0.5 - (values[first] - 0.5) / (values[first] - values[first - 1])
    if last + 1 < len(values):
        stop = last + 0.5 + (values[last] - 0.5) / (values[last] - values[last + 1])
    return start, stop


def found_box(tensor: Array, geometry: Geometry, box: Sequence[float] | Array) -> Array:
    """The white box as it lies in the tensor, brought back to frame pixels."""
    picture = tensor[0, :, :, 0]
    middle = geometry.to_input(np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], np.float32))
    x1, x2 = edges(picture[int(middle[1])])
    y1, y2 = edges(picture[:, int(middle[0])])
    return geometry.to_frame(np.array([[x1, y1, x2, y2]], np.float32))[0]
