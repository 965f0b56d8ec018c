"""Calibration pictures, laid into the input by the device's own code; and what is suspicious about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import FrameError
from edgecam.preprocess import Preprocessor
from edgecam.sources.images import load_picture
from edgecam.types import Array, Floats, Image, TensorInfo

BINS = 16
_DARK = 64  # pictures whose brightest pixels do not reach this were hardly meant so
_SHARE = 0.999
_BLOCKS = " ▁▂▃▄▅▆▇█"

Progress = Callable[[int, int | None], None]


def laid(
    paths: Sequence[Path], spec: ModelSpec, size: tuple[int, int], progress: Progress | None = None
) -> Array:
    """Pictures as the device lays them into the input, before normalisation.

    Args:
        paths: the pictures.
        spec: gives colour and resize.
        size: (height, width) of the input.
        progress: called with (read, in all).

    Returns:
        uint8 (N, H, W, C) in the colour order of the contract.

    Raises:
        FrameError: not one of them can be read; single ones that cannot are left out.
    """
    channels = 1 if spec.color == "gray" else 3
    plain = ModelSpec(
        spec.name, spec.task, spec.decoder, color=spec.color, resize=spec.resize, options=_pad(spec)
    )
    info = TensorInfo("image", (1, *size, channels), np.dtype(np.uint8))
    preprocess = Preprocessor(plain, info)
    out: list[Image] = []
    for number, path in enumerate(paths):
        try:
            tensor, _ = preprocess.from_image(load_picture(path))
            out.append(tensor[0].copy())
        except FrameError:
            if number + 1 == len(paths) and not out:
                raise
        if progress is not None:
            progress(number + 1, len(paths))
    return np.stack(out)


def _pad(spec: ModelSpec) -> dict[str, int]:
    return {"pad": spec.options["pad"]} if "pad" in spec.options else {}


def normalised(pictures: Array, spec: ModelSpec) -> Floats:
    """Laid pictures as a float32 input, by the table of :class:`edgecam.preprocess.Preprocessor`.

    Args:
        pictures: uint8 (N, H, W, C), from :func:`laid`.
        spec: gives mean and std.
    """
    from edgecam.quant import pixel_table

    info = TensorInfo("image", (1, *pictures.shape[1:]), np.dtype(np.float32))
    table = pixel_table(info, spec.mean, spec.std)
    channels = np.arange(table.shape[1]) if table.shape[1] > 1 else 0
    out: Floats = table[pictures, channels]
    return out


def histogram(pictures: Array) -> list[int]:
    """How many of the pixels' values fall into each of 16 equal bins of 0 to 255."""
    counts = np.bincount(pictures.reshape(-1), minlength=256)
    return [int(count) for count in counts.reshape(BINS, -1).sum(1)]


def bars(counts: Sequence[int]) -> str:
    """A histogram as a line of blocks."""
    most = max(counts, default=0) or 1
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in counts)


def scale_warning(pictures: Array) -> str:
    """What is wrong with the range of the pixels, "" if nothing; with the histogram."""
    values = np.sort(pictures.reshape(-1))
    high = int(values[int(_SHARE * (len(values) - 1))])
    spread = high - int(values[int((1 - _SHARE) * (len(values) - 1))])
    shown = f"  0 |{bars(histogram(pictures))}| 255"
    if high < _DARK:
        why = "perhaps numbers from 0 to 1 were saved as pictures" if high <= 1 else "are they scaled right?"
        return f"the calibration pictures are nearly black (99.9% of the values up to {high}): {why}\n{shown}"
    if spread < _DARK:
        return f"the calibration pictures are nearly uniform (values differ by {spread})\n{shown}"
    return ""
