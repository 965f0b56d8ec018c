"""Names of arrays, and a check of what arrives."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int32]
Array: TypeAlias = npt.NDArray[Any]


def expect(name: str, value: Array, dtype: type, shape: tuple[int | None, ...]) -> None:
    """
    Raises:
        ValueError: an array is not of this type and shape, where None stands for any length.
    """
    matches = value.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if value.dtype != dtype or not matches:
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must be {np.dtype(dtype).name} ({wanted}), got {value.dtype} {value.shape}")
