"""What the tests of recordings share: packets with events, and ffprobe."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import jpeg
from edgecam.events import Best, Event, Moment, Phase
from edgecam.types import Detections, Frame, Image, Packet, State, Status

WALL = 1_795_000_000.0  # in November 2026
SIZE = (160, 96)


def need_ffprobe() -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: apt install ffmpeg")


def shade(value: int, size: tuple[int, int] = SIZE) -> Image:
    return np.full((size[1], size[0], 3), value, np.uint8)


def kept_jpeg(value: int, size: tuple[int, int] = SIZE) -> bytes:
    return jpeg.encode(shade(value, size), 90)


def never(*_: object) -> Image:
    raise AssertionError("a picture that is kept as it is must not be decoded")


def camera(
    at: float,
    data: bytes | None = None,
    *,
    image: Image | None = None,
    size: tuple[int, int] = SIZE,
    events: tuple[Event, ...] = (),
    state: State = "running",
    decode: Any = never,
) -> Packet:
    """A packet of a camera at ``at`` seconds: with JPEG bytes that must not be decoded, or with pixels."""
    if image is None and data is None:
        data = kept_jpeg(90)
    if image is not None:
        frame = Frame(round(at * 30), image, captured=at, source="camera:0")
    else:
        frame = Frame(round(at * 30), jpeg=data, size=size, decode=decode, captured=at, source="camera:0")
    frame.wall = WALL + at
    result = Detections.empty() if state in ("running", "degraded") else None
    return Packet(frame, result, ["person"], Status(state), events=events)


def event(
    at: float,
    phase: Phase,
    name: str = "e-1",
    rule: str = "door",
    *,
    began: float = 0.0,
    improved: bool = True,
) -> Event:
    moment = Moment(round(at * 30), at, WALL + at)
    start = replace(moment, at=began or at)
    best = Best(moment, 0.9, (0.1, 0.1, 0.4, 0.6), 1, "person")
    return Event(
        id=name, phase=phase, rule=rule, place="", kind="picture", label="person", number=1, tracks=(1,),
        count=1, most=1, direction="", start=start, last=moment, best=best, improved=improved,
    )  # fmt: skip


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says; every picture is decoded."""
    need_ffprobe()
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format"]
    command += ["-show_entries", "packet=pts_time", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "", done.stderr
    out = json.loads(done.stdout)
    (stream,) = out["streams"]
    return {
        "codec": stream["codec_name"],
        "pictures": int(stream["nb_read_frames"]),
        "size": (stream["width"], stream["height"]),
        "seconds": float(out["format"]["duration"]),
        "created": out["format"].get("tags", {}).get("creation_time", ""),
        "times": [float(p["pts_time"]) for p in out["packets"]],
    }


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Whole files, and those that are not."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file())
