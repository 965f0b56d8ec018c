"""Quantising and dequantising. Against the interpreter's own kernels: ``tests/engines/test_kernels.py``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.quant import dequantize, pixel_table, quantize
from edgecam.types import TensorInfo

INTEGERS = ("uint8", "int8", "int16", "int32")
scales = st.floats(2.0**-20, 2.0**10, width=32)
reals = st.floats(-(2.0**20), 2.0**20, width=32)


def info(dtype: str, scale: float = 0.0, zero_point: int = 0) -> TensorInfo:
    return TensorInfo("t", (1,), np.dtype(dtype), scale, zero_point)


@st.composite
def quantised(draw: st.DrawFn, dtypes: tuple[str, ...] = ("uint8", "int8", "int16")) -> TensorInfo:
    dtype = draw(st.sampled_from(dtypes))
    limits = np.iinfo(dtype)
    return info(dtype, draw(scales), draw(st.integers(int(limits.min), int(limits.max))))


@given(quantised(), st.data())
def test_every_integer_survives_the_way_to_real_and_back(tensor: TensorInfo, data: st.DataObject) -> None:
    limits = np.iinfo(tensor.dtype)
    value = data.draw(st.integers(int(limits.min), int(limits.max)))
    array = np.array([value], tensor.dtype)
    again = quantize(dequantize(array, tensor), tensor)
    assert again.dtype == tensor.dtype
    assert again == array


@given(quantised(), st.lists(reals, min_size=1, max_size=8))
def test_a_value_in_range_moves_by_half_a_step_at_most(tensor: TensorInfo, values: list[float]) -> None:
    limits = np.iinfo(tensor.dtype)
    low = (limits.min - tensor.zero_point) * tensor.scale
    high = (limits.max - tensor.zero_point) * tensor.scale
    real = np.clip(np.array(values, np.float32), low, high).astype(np.float32)
    error = np.abs(dequantize(quantize(real, tensor), tensor).astype(np.float64) - real)
    assert np.all(error <= tensor.scale / 2 + np.abs(real) * 2.0**-22)


@given(quantised(INTEGERS), st.lists(reals, min_size=2, max_size=8))
def test_order_is_kept(tensor: TensorInfo, values: list[float]) -> None:
    steps = quantize(np.sort(np.array(values, np.float32)), tensor).astype(np.int64)
    assert np.all(np.diff(steps) >= 0)


@given(quantised(), st.lists(st.integers(0, 255), min_size=1, max_size=8))
def test_dequantised_is_the_true_product_rounded_once(tensor: TensorInfo, values: list[int]) -> None:
    array = np.array(values).astype(tensor.dtype)
    true = (array.astype(np.float64) - tensor.zero_point) * tensor.scale
    assert np.array_equal(dequantize(array, tensor), true.astype(np.float32))


@pytest.mark.parametrize(
    ("steps", "rounded"), [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-1.5, -2), (0.49, 0), (-0.49, 0)]
)
def test_halves_go_away_from_zero(steps: float, rounded: int) -> None:
    assert quantize(steps * 0.25, info("int8", 0.25, 0)) == rounded
    assert quantize(steps * 0.25, info("int8", 0.25, 10)) == rounded + 10


@pytest.mark.parametrize("dtype", INTEGERS)
def test_what_lies_outside_is_clipped(dtype: str) -> None:
    limits = np.iinfo(dtype)
    tensor = info(dtype, 0.5, 3)
    far = np.array([1e30, -1e30, np.inf, -np.inf], np.float32)
    assert quantize(far, tensor).tolist() == [limits.max, limits.min, limits.max, limits.min]


def test_nan_becomes_real_zero() -> None:
    assert quantize(np.nan, info("uint8", 0.5, 3)) == 3


def test_without_a_scale_integers_are_themselves() -> None:
    tensor = info("uint8")
    assert quantize([3.2, 300, -4], tensor).tolist() == [3, 255, 0]
    back = dequantize(np.array([3, 255], np.uint8), tensor)
    assert back.dtype == np.float32
    assert back.tolist() == [3, 255]


def test_float_tensors_take_values_as_they_are() -> None:
    values = np.array([1.25, -2.5], np.float32)
    assert np.array_equal(quantize(values, info("float32", 0.5, 3)), values)
    assert quantize(values, info("float16")).dtype == np.float16
    assert dequantize(values, info("float32", 0.5, 3)) is values
    assert dequantize(values.astype(np.float16), info("float16")).dtype == np.float32


def test_large_int32_values_keep_their_last_digit() -> None:
    tensor = info("int32", 1.0, 2**30)
    assert dequantize(np.array([2**30 + 16777217], np.int32), tensor) == np.float32(16777217)


class TestPixelTable:
    def test_is_the_identity_where_the_tensor_holds_pixels(self) -> None:
        for dtype, zero_point, shift in (("uint8", 0, 0), ("int8", -128, -128)):
            tensor = info(dtype, float(np.float32(1 / 255)), zero_point)
            assert pixel_table(tensor, (0,), (255,))[:, 0].tolist() == list(range(shift, shift + 256))
        tensor = info("uint8", 0.0078125, 128)
        assert pixel_table(tensor, (128,), (128,))[:, 0].tolist() == list(range(256))

    @given(quantised(("uint8", "int8")), st.floats(0, 255), st.floats(1, 255))
    def test_is_monotonous(self, tensor: TensorInfo, mean: float, std: float) -> None:
        assert np.all(np.diff(pixel_table(tensor, (mean,), (std,))[:, 0].astype(int)) >= 0)

    def test_ties_all_fall_the_same_way(self) -> None:
        # mean 127.5 with zero point 127: the exact value of every pixel lies halfway between two integers
        table = pixel_table(info("uint8", float(np.float32(1 / 127.5)), 127), (127.5,), (127.5,))
        assert np.bincount(np.diff(table[:, 0].astype(int))).tolist() == [1, 254]

    def test_one_column_a_channel(self) -> None:
        mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
        table = pixel_table(info("float32"), mean, std)
        assert table.shape == (256, 3)
        assert table.dtype == np.float32
        for channel in range(3):
            assert table[200, channel] == pytest.approx((200 - mean[channel]) / std[channel], rel=1e-6)
        assert pixel_table(info("float32"), (0,), std).shape == (256, 3)
