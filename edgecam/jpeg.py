"""JPEG in and out: TurboJPEG (simplejpeg) where its wheel exists, else OpenCV.

simplejpeg has no wheel for 32-bit ARM; there OpenCV's own codec does the work, three times slower.
Pixels are RGB uint8 (H, W, 3) on both paths.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecam.errors import FrameError
from edgecam.types import Frame, Image

try:
    import simplejpeg
except ImportError:  # pragma: no cover - only on platforms without the wheel
    simplejpeg = None


def size(data: bytes) -> tuple[int, int]:
    """(width, height) from a JPEG's header, without decoding it.

    Raises:
        FrameError: this is not a JPEG.
    """
    if simplejpeg is None:
        height, width = decode(data).shape[:2]
        return width, height
    try:
        return _header(data)[0]
    except ValueError as error:
        raise FrameError(f"not a JPEG picture ({error})") from error


def is_colour(data: bytes) -> bool:
    """Whether a JPEG's header promises red, green and blue; False too where that cannot be told."""
    if simplejpeg is None:
        return False
    try:
        return _header(data)[1] in ("YCbCr", "RGB")
    except ValueError:
        return False


def _header(data: bytes) -> tuple[tuple[int, int], str]:
    """(width, height) and the colour space; ValueError if it is no JPEG."""
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
    except KeyError:
        # 4:4:1, which the library decodes but has no name for, and rare enough to be decoded twice.
        height, width = simplejpeg.decode_jpeg(data, strict=False).shape[:2]
        colour = "YCbCr"
    return (width, height), colour


def decode(data: bytes, min_width: int = 0, min_height: int = 0, *, strict: bool = True) -> Image:
    """Decode to RGB uint8 (H, W, 3).

    With ``min_width`` and ``min_height`` the decoder may return a picture reduced by 2, 4 or 8 (done in the
    DCT domain, so it costs less than decoding in full), never smaller than asked. Not ``strict`` forgives
    what the decoder can recover from; OpenCV's codec always does.

    Raises:
        FrameError: broken or truncated data.
    """
    if simplejpeg is None:
        return _decode_opencv(data)
    try:
        reduced = _reduced_size(data, min_width, min_height) if min_width and min_height else (0, 0)
        image = simplejpeg.decode_jpeg(
            data,
            colorspace="RGB",
            min_width=reduced[0],
            min_height=reduced[1],
            min_factor=1,
            strict=strict,
        )
    except ValueError as error:
        raise FrameError(f"broken JPEG picture ({error})") from error
    return np.asarray(image)


def _reduced_size(data: bytes, min_width: int, min_height: int) -> tuple[int, int]:
    """The least (width, height) that is enough and cheap; (0, 0) for the whole picture.

    TurboJPEG also reduces to 3/8, 5/8, 6/8 and 7/8, but without vector instructions: the last three cost more
    than the whole picture.
    """
    width, height = size(data)
    for eighths in (1, 2, 4):
        reduced = -(-width * eighths // 8), -(-height * eighths // 8)
        if reduced[0] >= min_width and reduced[1] >= min_height:
            return reduced
    return 0, 0


def encode(image: Image, quality: int = 80) -> bytes:
    """Encode RGB uint8 (H, W, 3) with 4:2:0 chroma; ``quality`` 1 to 100."""
    contiguous = np.ascontiguousarray(image)
    if simplejpeg is None:
        return _encode_opencv(contiguous, quality)
    return bytes(
        simplejpeg.encode_jpeg(contiguous, quality=quality, colorspace="RGB", colorsubsampling="420")
    )


def of(frame: Frame) -> bytes:
    """The frame as a JPEG: the camera's own bytes, or its pixels, encoded once for all who ask.

    A frame that privacy rules made has no bytes of the camera.

    Raises:
        FrameError: the pixels cannot be had.
    """
    if frame.jpeg is not None:
        return frame.jpeg
    if frame.encoded is None:  # two threads at once do it twice, to the same bytes
        frame.encoded = encode(frame.image)
    return frame.encoded


def _decode_opencv(data: bytes) -> Image:
    import cv2

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if bgr is None:
        raise FrameError("broken JPEG picture")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _encode_opencv(image: Image, quality: int) -> bytes:
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)
