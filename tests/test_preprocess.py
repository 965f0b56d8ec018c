"""Frames to tensors: values and colours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecam.errors import ContractError
from edgecam.preprocess import Preprocessor
from edgecam.types import Frame, TensorInfo
from tests.helpers.boxes import PLAIN, jpeg_frame, noise, tensor_info

# Values


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "mean", "std"),
    [
        ("uint8", 1 / 128, 128, (128.0,), (128.0,)),  # pixels as they are
        ("uint8", 1 / 127.5, 127, (127.5,), (127.5,)),  # every pixel between two integers
        ("uint8", 0.02, 114, (123.7, 116.8, 103.9), (58.4, 57.1, 57.4)),
        ("int8", 1 / 255, -128, (0.0,), (255.0,)),
        ("int8", 0.02, -14, (123.7, 116.8, 103.9), (58.4, 57.1, 57.4)),
        ("int16", 1 / 32768, 0, (127.5,), (127.5,)),
        ("float32", 0.0, 0, (127.5,), (127.5,)),
        ("float32", 0.0, 0, (123.7, 116.8, 103.9), (58.4,)),
        ("float16", 0.0, 0, (0.0,), (255.0,)),
    ],
)
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_values_are_normalised_and_quantised_exactly(
    dtype: str, scale: float, zero_point: int, mean: tuple[float, ...], std: tuple[float, ...], color: Any
) -> None:
    channels = 1 if color == "gray" else 3
    mean, std = mean[:channels], std[:channels]
    info = tensor_info(64, 48, dtype, scale, zero_point, channels)
    image = noise(64, 48)
    tensor, _ = Preprocessor(replace(PLAIN, color=color, mean=mean, std=std), info).from_image(image)
    if color == "gray":  # ITU-R BT.601; OpenCV's fixed-point weights may miss by one grey value
        pixels, slack = image @ np.array([0.299, 0.587, 0.114]), 1.0
        pixels = pixels[..., None]
    else:
        pixels, slack = (image if color == "rgb" else image[..., ::-1]).astype(np.float64), 0.0
    real = (pixels - np.array(mean)) / np.array(std)
    assert tensor.shape == info.shape and tensor.dtype == info.dtype
    if info.dtype.kind == "f":
        np.testing.assert_allclose(
            tensor[0],
            real,
            rtol=2 * np.finfo(info.dtype).eps,
            atol=slack / std[0] + np.finfo(info.dtype).tiny,
        )
    else:
        limits = np.iinfo(info.dtype)
        wanted = np.clip(real / scale + zero_point, limits.min, limits.max)
        assert np.abs(tensor[0] - wanted).max() <= 0.5 + 1e-9 + slack / std[0] / scale


def test_one_buffer_is_reused() -> None:
    preprocess = Preprocessor(replace(PLAIN, resize="letterbox"), tensor_info(32, 32, "int8", 1.0, -128))
    first, _ = preprocess.from_image(np.full((20, 20, 3), 7, np.uint8))
    second, _ = preprocess.from_image(np.full((10, 40, 3), 9, np.uint8))
    assert np.shares_memory(first, second)


def test_a_frame_and_its_pixels_give_the_same_tensor() -> None:
    image = noise(320, 200)
    preprocess = Preprocessor(PLAIN, tensor_info(96, 96))
    from_image = preprocess.from_image(image)[0].copy()
    from_frame, geometry = preprocess(Frame(0, image))
    np.testing.assert_array_equal(from_frame, from_image)
    assert geometry.frame == (320, 200) and geometry.input == (96, 96)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_what_was_made_ahead_is_taken_and_stays(resize: Any) -> None:
    """Several frames may be made ahead; each keeps its own tensor, and only for who made it."""
    frames = [Frame(n, noise(40, 30 + n)) for n in range(3)]
    first, second = (Preprocessor(replace(PLAIN, resize=resize), tensor_info(24, 24)) for _ in range(2))
    wanted = [second(frame)[0].copy() for frame in frames]
    for frame in frames:
        first.ahead(frame)
    second.from_image(frames[0].image)
    for frame, tensor in zip(frames, wanted, strict=True):
        assert frame.ready is not None and first(frame)[0] is frame.ready[1]
        assert np.array_equal(first(frame)[0], tensor) and first(frame)[1] == second(frame)[1]
        assert np.array_equal(second(frame)[0], tensor) and second(frame)[0] is not frame.ready[1]
        assert frame.derived(lambda frame=frame: frame.image).ready is None  # type: ignore[misc]


def test_a_view_with_strides_is_taken_like_its_copy() -> None:
    image = noise(200, 100)[::2, ::-1]
    preprocess = Preprocessor(PLAIN, tensor_info(48, 48))
    strided = preprocess.from_image(image)[0].copy()
    np.testing.assert_array_equal(preprocess.from_image(np.ascontiguousarray(image))[0], strided)


# Colours


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("how", ["pixels", "jpeg"])
def test_red_left_and_blue_right_stay_so(resize: Any, how: str) -> None:
    image = np.zeros((160, 160, 3), np.uint8)
    image[:, :80, 0] = 255
    image[:, 80:, 2] = 255
    frame = Frame(0, image) if how == "pixels" else jpeg_frame(image)
    for color, left, right in (("rgb", 0, 2), ("bgr", 2, 0)):
        spec = replace(PLAIN, color=color, resize=resize)  # type: ignore[arg-type]
        tensor, _ = Preprocessor(spec, tensor_info(40, 40))(frame)
        assert tensor[0, 20, 5].argmax() == left and tensor[0, 20, 5].max() > 240
        assert tensor[0, 20, 35].argmax() == right and tensor[0, 20, 35].max() > 240


# Errors


@pytest.mark.parametrize(
    "shape", [(1, 3, 32, 32), (2, 32, 32, 3), (1, 32, 32), (1, 0, 32, 3), (1, 32, 32, 1)]
)
def test_an_input_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    info = TensorInfo("image", shape, np.dtype(np.uint8), 1.0, 0)
    with pytest.raises(ContractError, match="plain: input"):
        Preprocessor(PLAIN, info)


@pytest.mark.parametrize("pad", [-1, 256, 1.5, "grey", True])
def test_a_pad_that_is_no_grey_value_is_refused(pad: object) -> None:
    with pytest.raises(ContractError, match="pad"):
        Preprocessor(replace(PLAIN, options={"pad": pad}), tensor_info(32, 32))


def test_two_means_for_three_channels_are_refused() -> None:
    with pytest.raises(ContractError, match="mean"):
        Preprocessor(replace(PLAIN, mean=(1.0, 2.0)), tensor_info(32, 32))
