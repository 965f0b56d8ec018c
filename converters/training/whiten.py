"""A first convolution that whitens patches, made from the pictures themselves. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.training.feed import Pictures
from edgecam.errors import UsageError

STEM = "stem"
_PICTURES = 5000
_EPSILON = 5e-4


def whiten(model: Any, pictures: Pictures, seed: int = 0) -> None:
    """Set the kernel of the layer ``stem`` to the eigenvectors of the patches' covariance, each over the root
    of its eigenvalue, and to their negatives (K. Jordan, 2024, after Page's "How to train your ResNet").

    The layer should be frozen but for its bias; see :data:`STEM`.

    Raises:
        UsageError: the model has no such layer, or it has too few filters.
    """
    stem = next((layer for layer in model.layers if layer.name == STEM), None)
    if stem is None or not hasattr(stem, "kernel"):
        raise UsageError(f"{model.name} has no convolution called {STEM!r} to whiten", "leave whiten out")
    height, width, channels, filters = stem.kernel.shape
    size = height * width * channels
    if filters < 2 * size:
        raise UsageError(f"{STEM} has {filters} filters, whitening needs {2 * size}", "leave whiten out")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(pictures))[:_PICTURES])
    scaling = next((x for x in model.layers if type(x).__name__ == "Rescaling"), None)
    x = pictures.take(chosen).astype(np.float32)
    if scaling is not None:
        x = x * float(scaling.scale) + float(scaling.offset)
    values, vectors = np.linalg.eigh(_covariance(x, height, width))
    rows = (vectors / np.sqrt(values + _EPSILON)).T[::-1]
    kernel = np.zeros((filters, size), np.float32)
    kernel[: 2 * size] = np.concatenate([rows, -rows])
    stem.kernel.assign(kernel.reshape(filters, height, width, channels).transpose(1, 2, 3, 0))


def _covariance(x: Any, height: int, width: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    step = max(1, x.shape[1] // 32)
    patches = windows[:, ::step, ::step].transpose(0, 1, 2, 4, 5, 3).reshape(-1, height * width * x.shape[3])
    return np.cov(patches.astype(np.float64), rowvar=False, bias=True)
