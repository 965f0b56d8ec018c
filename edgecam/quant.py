"""Real numbers to a tensor's integers and back, as TensorFlow Lite itself does it.

``real = scale * (q - zero_point)``. Quantising divides in float32, rounds halves away from zero, adds the
zero point and clips to the type: bit for bit what TFLite's reference kernels do. Its optimised kernels
multiply by 1/scale or round halves to even, each in its own way, and so differ by one at ties. Dequantising
is exact: one float32 rounding of the true product.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2017, equation 1; TFLite 8-bit quantization specification.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgecam.types import Array, Floats, TensorInfo


def quantize(real: npt.ArrayLike, info: TensorInfo) -> Array:
    """Real values as the tensor's own type; any shape.

    A float tensor takes the values as they are. An integer tensor without a scale takes them rounded and
    clipped. NaN becomes real zero.
    """
    values = np.asarray(real, np.float32)
    if info.dtype.kind == "f":
        return values.astype(info.dtype)
    if info.scale:
        values = values / np.float32(info.scale)
    # float64 from here: a float32 cannot hold the limits of int32 nor a large zero point exactly.
    return _to_integers(values.astype(np.float64), info)


def dequantize(array: Array, info: TensorInfo) -> Floats:
    """The tensor's values as float32, same shape; a copy unless they are float32 already.

    An integer tensor without a scale gives its integers.
    """
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if not info.scale:
        return array.astype(np.float32)
    if array.dtype.itemsize > 2:
        wide = (array.astype(np.float64) - info.zero_point) * float(np.float32(info.scale))
        return wide.astype(np.float32)
    out = array.astype(np.float32)
    out -= np.float32(info.zero_point)
    out *= np.float32(info.scale)
    return out


def pixel_table(info: TensorInfo, mean: Sequence[float], std: Sequence[float]) -> Array:
    """What each pixel value 0..255 becomes in an input tensor: ``(pixel - mean) / std``, quantised.

    Computed in float64: with the usual normalisations the exact results lie at ties, where float32 would
    round neighbouring pixels up and down as noise has it.

    Returns:
        shape (256, C) in the tensor's dtype, C the longer of ``mean`` and ``std`` (1 or 3): look pixels up
        per channel instead of computing on every frame.
    """
    pixels = np.arange(256, dtype=np.float64)[:, None]
    real = (pixels - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)
    if info.dtype.kind == "f":
        return real.astype(info.dtype)
    return _to_integers(real / (info.scale or 1.0), info)


def _to_integers(scaled: npt.NDArray[np.float64], info: TensorInfo) -> Array:
    """Round halves away from zero, add the zero point, clip."""
    whole = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    limits = np.iinfo(info.dtype)
    shifted = np.nan_to_num(whole, nan=0.0) + info.zero_point
    clipped: Array = np.clip(shifted, limits.min, limits.max).astype(info.dtype)
    return clipped
