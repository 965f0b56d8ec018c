"""Small video files made on the spot, and what is in them."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from edgecam.registry import parse_uri
from edgecam.sources.synthetic import SyntheticSource


def synthetic_clip(path: Path, frames: int = 30, fps: float = 10, size: str = "320x240") -> SyntheticSource:
    """Write ``frames`` frames of the synthetic scene to ``path`` (.mp4, .avi, .mkv) with OpenCV alone.

    Returns:
        The scene: its ``truth(n)`` is what frame n of the file shows, ``seq_of`` reads n from the picture.
    """
    scene = SyntheticSource(parse_uri(f"synthetic:?size={size}&fps={fps}&frames={frames}"))
    code = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), fps, scene.size)
    assert writer.isOpened()
    for seq in range(frames):
        writer.write(cv2.cvtColor(np.asarray(scene.render(seq)), cv2.COLOR_RGB2BGR))
    writer.release()
    return scene


def turn_mp4(path: Path) -> None:
    """Mark an MP4 as recorded with the camera turned by 90 degrees, as a phone does: show it clockwise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    version = data[at]
    matrix = at + 4 + (32 if version == 1 else 20) + 16
    fixed = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    assert struct.unpack_from(">9i", data, matrix) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, matrix, *fixed)
    path.write_bytes(bytes(data))
