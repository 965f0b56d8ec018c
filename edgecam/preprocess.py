"""Frame to input tensor: lay the picture into the input, order the colours, normalise and quantise.

One code path serves the device (:meth:`Preprocessor.__call__`) and calibration on the workstation
(:meth:`Preprocessor.from_image`), so a model is calibrated on exactly the pixels it will meet.

Resampling is bilinear on half-pixel centres, as the common training pipelines do it. A picture twice as large
as its place or larger is halved first by averages, where plain bilinear would skip pixels and alias. Where a
frame came as JPEG, its decoder has already reduced it in the DCT domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edgecam.contract import ModelSpec, check_input
from edgecam.errors import ContractError
from edgecam.quant import pixel_table
from edgecam.types import Array, Frame, Geometry, Image, TensorInfo
from edgecam.values import Region

DEFAULT_PAD = 114  # the grey that YOLO letterboxes with in training


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the pixels at hand go; all in whole pixels, so what is drawn is what the Geometry says.

    Attributes:
        need: (width, height) of the whole view that the decoder must give at least.
        source: x, y, width, height of the part of the frame that is used.
        target: x, y, width, height of where it lands in the input.
    """

    need: tuple[int, int]
    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]


class Preprocessor:
    """Makes a model's input tensor out of frames.

    Options of the contract (``spec.options``): ``pad``, the grey value 0 to 255 around a letterboxed picture
    (default 114).

    Args:
        spec: gives colour order, resize, mean and std. Several means and stds are in the order of the
            input's channels, after ``color``.
        info: the image input, shape (1, H, W, C).
        region: the part of the frame that the model looks at, left, top, right, bottom from 0 to 1; None for
            all of it.

    Raises:
        ContractError: the input is not (1, H, W, C) with fixed sizes, or its channels contradict the
            contract.
    """

    def __init__(self, spec: ModelSpec, info: TensorInfo, region: Region | None = None) -> None:
        check_input(spec, info)
        self._info, self._region = info, region
        _, self._height, self._width, channels = info.shape
        self._spec = spec
        self._pad = _pad_value(spec)
        self._table = _table(spec, info)
        self._tensor: Array = np.empty(info.shape, info.dtype)
        # What needs no table and no other colours is drawn straight into the tensor.
        self._ordered: Image = (
            self._tensor[0]
            if self._table is None
            else np.empty((self._height, self._width, channels), np.uint8)
        )
        self._canvas: Image = (
            self._ordered if spec.color == "rgb" else np.empty((self._height, self._width, 3), np.uint8)
        )
        self._planned: tuple[tuple[int, int], _Plan] | None = None
        self._twin: Preprocessor | None = None

    def __call__(self, frame: Frame) -> tuple[Array, Geometry]:
        """One frame as input tensor.

        Returns:
            The tensor, shape and dtype of the input, valid until the next call (one buffer is reused), and
            how it maps to pixels of the whole frame.

        Raises:
            FrameError: the frame's JPEG is broken.
        """
        if frame.ready is not None and frame.ready[0] is self:
            return frame.ready[1], frame.ready[2]
        plan = self._plan(frame.size)
        return self._run(frame.pixels(*plan.need), frame.size, plan)

    def ahead(self, frame: Frame) -> None:
        """Do now what a call with this frame would do later, on one other thread with time. Same errors."""
        if self._twin is None:
            self._twin = Preprocessor(self._spec, self._info, self._region)
        frame.prepare(*self.need(frame.size))
        tensor, geometry = self._twin(frame)
        frame.ready = (self, tensor.copy(), geometry)

    def from_image(self, rgb: Image) -> tuple[Array, Geometry]:
        """The same for bare pixels, RGB uint8 (H, W, 3)."""
        size = (rgb.shape[1], rgb.shape[0])
        return self._run(rgb, size, self._plan(size))

    def need(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Least (width, height) in which a frame of this size must be decoded. For any thread."""
        return self._make_plan(frame).need

    def view(self, frame: Frame) -> Image:
        """What the model would see of a frame, not yet resized: RGB uint8 (H, W, 3). Never write into it.

        Raises:
            FrameError: the frame's JPEG is broken.
        """
        plan = self._plan(frame.size)
        frame.prepare(*plan.need)  # so that a call of this object need not decode again
        image = frame.pixels(*plan.need)
        ratio = _reduction(frame.size, (image.shape[1], image.shape[0]))
        x, y, width, height = _reduced(plan.source, ratio, frame.size, image)
        return image[y : y + height, x : x + width]

    def _make_plan(self, frame: tuple[int, int]) -> _Plan:
        size = (self._width, self._height)
        if self._region is None:
            return _make_plan(frame, size, self._spec.resize)
        return _within(self._region, frame, size, self._spec.resize)

    def _plan(self, frame: tuple[int, int]) -> _Plan:
        if self._planned is None or self._planned[0] != frame:
            self._planned = (frame, self._make_plan(frame))
            self._canvas[...] = self._pad  # the border stays until frames change their size
        return self._planned[1]

    def _run(self, image: Image, frame: tuple[int, int], plan: _Plan) -> tuple[Array, Geometry]:
        ratio = _reduction(frame, (image.shape[1], image.shape[0]))
        x, y, width, height = _reduced(plan.source, ratio, frame, image)
        left, top, drawn_width, drawn_height = plan.target
        view = self._canvas[top : top + drawn_height, left : left + drawn_width]
        _resize(image[y : y + height, x : x + width], view)
        self._finish()
        scale = (drawn_width / width, drawn_height / height)
        geometry = Geometry(
            frame=frame,
            input=(self._width, self._height),
            scale=(scale[0] * ratio[0], scale[1] * ratio[1]),
            pad=(left - x * scale[0], top - y * scale[1]),
        )
        return self._tensor, geometry

    def _finish(self) -> None:
        """Colour order, then the table from pixels to the tensor's values."""
        if self._spec.color == "bgr":
            cv2.cvtColor(self._canvas, cv2.COLOR_RGB2BGR, dst=self._ordered)
        elif self._spec.color == "gray":
            cv2.cvtColor(self._canvas, cv2.COLOR_RGB2GRAY, dst=self._ordered)
        if self._table is None:
            return
        if self._table.dtype.name in ("uint8", "int8", "float32"):
            cv2.LUT(self._ordered, self._table, dst=self._tensor[0])
        else:  # int16 and float16 inputs are rare, and not every OpenCV has tables of them
            channel = np.arange(self._table.shape[2]) if self._table.shape[2] > 1 else 0
            self._tensor[0] = self._table[0, self._ordered, channel]


def _pad_value(spec: ModelSpec) -> int:
    value = spec.options.get("pad", DEFAULT_PAD)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255:
        raise ContractError(f"{spec.name}: option pad is {value!r}", "give a grey value from 0 to 255")
    return value


def _table(spec: ModelSpec, info: TensorInfo) -> Array | None:
    """Pixel to tensor value, (1, 256, C or 1) as OpenCV wants it; None where that changes nothing."""
    table = pixel_table(info, spec.mean, spec.std)
    if info.dtype == np.uint8 and np.array_equal(table, np.repeat(_PIXELS, table.shape[1], 1)):
        return None
    return np.ascontiguousarray(table[None])


_PIXELS = np.arange(256, dtype=np.uint8)[:, None]


def _make_plan(frame: tuple[int, int], size: tuple[int, int], resize: str) -> _Plan:
    width, height = frame
    inner_width, inner_height = size
    if resize == "letterbox":
        factor = min(inner_width / width, inner_height / height)
        drawn = (
            min(max(round(width * factor), 1), inner_width),
            min(max(round(height * factor), 1), inner_height),
        )
        corner = ((inner_width - drawn[0]) // 2, (inner_height - drawn[1]) // 2)
        return _Plan(drawn, (0, 0, width, height), (*corner, *drawn))
    if resize == "crop":
        factor = max(inner_width / width, inner_height / height)
        part = (
            min(max(round(inner_width / factor), 1), width),
            min(max(round(inner_height / factor), 1), height),
        )
        corner = ((width - part[0]) // 2, (height - part[1]) // 2)
        need = (-(-inner_width * width // part[0]), -(-inner_height * height // part[1]))
        return _Plan(need, (*corner, *part), (0, 0, *size))
    return _Plan(size, (0, 0, width, height), (0, 0, *size))


def _within(region: Region, frame: tuple[int, int], size: tuple[int, int], resize: str) -> _Plan:
    """The plan for a part of the frame, as if that were the frame; it has a pixel at least."""
    x, y = (min(round(region[axis] * frame[axis]), frame[axis] - 1) for axis in (0, 1))
    part = tuple(max(round(region[axis + 2] * frame[axis]) - (x, y)[axis], 1) for axis in (0, 1))
    plan = _make_plan((part[0], part[1]), size, resize)
    left, top, width, height = plan.source
    # The decoder reduces all of the frame or nothing.
    need = [-(-plan.need[axis] * frame[axis] // part[axis]) for axis in (0, 1)]
    return _Plan((need[0], need[1]), (left + x, top + y, width, height), plan.target)


def _reduction(frame: tuple[int, int], image: tuple[int, int]) -> tuple[float, float]:
    """How many pixels at hand one pixel of the frame has become, (x, y).

    A JPEG decoder reduces by exactly n/8 and rounds the size up: the last column may then hold less than a
    whole pixel of the frame, so the quotient of the sizes would be wrong by a fraction of a pixel.
    """
    if image == frame:
        return 1.0, 1.0
    for eighths in range(1, 8):
        if image == (-(-frame[0] * eighths // 8), -(-frame[1] * eighths // 8)):
            return eighths / 8, eighths / 8
    return image[0] / frame[0], image[1] / frame[1]


def _reduced(
    part: tuple[int, int, int, int], ratio: tuple[float, float], frame: tuple[int, int], image: Image
) -> tuple[int, int, int, int]:
    """A part of the frame (x, y, width, height) in whole pixels at hand, never empty.

    What reaches to the frame's edge reaches to the picture's, with its last, partly filled pixel.
    """
    if ratio == (1.0, 1.0):
        return part
    spans = []
    for axis, available in ((0, image.shape[1]), (1, image.shape[0])):
        start = min(round(part[axis] * ratio[axis]), available - 1)
        end = part[axis] + part[axis + 2]
        stop = available if end == frame[axis] else min(round(end * ratio[axis]), available)
        spans.append((start, max(stop - start, 1)))
    (x, width), (y, height) = spans
    return x, y, width, height


def _resize(source: Any, target: Any) -> None:
    """Bilinear into ``target``, a view of the canvas; large shrinks are averaged first."""
    height, width = target.shape[:2]
    while True:
        rows, columns = source.shape[:2]
        tall, wide = rows >= 2 * height, columns >= 2 * width
        if not tall and not wide:
            break
        # At exactly one half, bilinear samples lie in the middle of two pixels: their average.
        size, mode = (columns // 2 if wide else columns, rows // 2 if tall else rows), cv2.INTER_LINEAR
        if (tall and rows % 2) or (wide and columns % 2):
            # Odd sizes have no exact half. This costs several times as much, and averages only what shrinks.
            size, mode = (min(columns, width), min(rows, height)), cv2.INTER_AREA
        source = cv2.resize(source, size, interpolation=mode)
    cv2.resize(source, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
