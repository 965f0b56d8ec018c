"""Video encoders that hand over each coded picture: OpenCV's own MPEG-4, or H.264 from ``ffmpeg``.

OpenCV can only write a file, at a constant rate and with its index at the end, and none of its options reach
FFmpeg's muxer. But the file may be a named pipe: there it writes Matroska, out of which this module takes the
pictures as they come, for :mod:`edgecam.mp4` to store. ``ffmpeg`` is fed raw pictures and gives Matroska too.
Both code each picture in its turn, so the n-th out is the n-th in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import cv2
import numpy as np

from edgecam.errors import SinkError
from edgecam.hardware import SOFTWARE
from edgecam.hardware import H264Coder as H264Coder
from edgecam.hardware import h264_coder as h264_coder
from edgecam.matroska import coded_pictures
from edgecam.types import Image

Take = Callable[[bool, bytes, bytes], None]  # is a key picture, its data, the codec's configuration

_PIPE_BYTES = 1 << 20
_JOIN_SECONDS = 10.0


class Encoder(Protocol):
    """Codes pictures of one size.

    Attributes:
        codec: ``mpeg4`` or ``h264``.
        error: what taking a coded picture raised, or None.
    """

    codec: str

    @property
    def error(self) -> Exception | None: ...

    def write(self, image: Image) -> None:
        """Code RGB uint8 (H, W, 3) of the encoder's size.

        Raises:
            SinkError: the encoder died.
            Exception: what taking a coded picture raised.
        """

    def close(self) -> None:
        """Code what waits, hand all of it over, end. Safe to call twice."""


class Mpeg4Encoder:
    """MPEG-4 part 2 by the FFmpeg inside OpenCV: needs nothing installed.

    Args:
        size: (width, height), even numbers.
        take: called with each coded picture, from a thread of the encoder.

    Raises:
        SinkError: this OpenCV was built without FFmpeg.
    """

    codec = "mpeg4"

    def __init__(self, size: tuple[int, int], take: Take) -> None:
        with tempfile.TemporaryDirectory(prefix="edgecam-") as folder:
            pipe = Path(folder) / "video.mkv"
            os.mkfifo(pipe, 0o600)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            fourcc = cv2.VideoWriter.fourcc(*"FMP4")
            self._writer = cv2.VideoWriter(str(pipe), cv2.CAP_FFMPEG, fourcc, 30.0, size)
        if not self._writer.isOpened():
            os.close(reader)
            raise SinkError(
                "this OpenCV cannot encode video", "pip install opencv-python-headless, or apt install ffmpeg"
            )
        os.set_blocking(reader, True)
        _enlarge(reader)
        self._pump = _Pump(os.fdopen(reader, "rb"), take)

    @property
    def error(self) -> Exception | None:
        return self._pump.error

    def write(self, image: Image) -> None:
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if self._pump.error is not None:
            raise self._pump.error

    def close(self) -> None:
        self._writer.release()
        self._pump.join()


class H264Encoder:
    """H.264 by the ``ffmpeg`` program: half the size, and plays everywhere.

    Args:
        size: (width, height), even numbers.
        take: called with each coded picture, from a thread of the encoder.
        program: path of ``ffmpeg``.
        name: which of its encoders.

    Raises:
        SinkError: the program does not start.
    """

    codec = "h264"

    def __init__(self, size: tuple[int, int], take: Take, program: str, name: str = SOFTWARE) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            # A session of its own, so that Ctrl-C in the terminal does not end it before we do.
            self._process = subprocess.Popen(
                H264Coder(program, name).command(size),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise SinkError(f"{program} does not start ({error.strerror})", "choose codec=mpeg4") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        _enlarge(self._process.stdin.fileno())
        self._pump = _Pump(self._process.stdout, take)

    @property
    def error(self) -> Exception | None:
        return self._pump.error

    def write(self, image: Image) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(image).data)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise SinkError(f"ffmpeg ended by itself ({self._last_words()})", "choose codec=mpeg4") from error
        if self._pump.error is not None:
            raise self._pump.error

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._pump.join()
        try:
            self._process.wait(_JOIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class _Pump:
    """A thread that takes the coded pictures out of a stream and hands them on.

    When handing on fails it keeps the error and goes on reading, so that the encoder is never stuck.
    """

    def __init__(self, stream: IO[bytes], take: Take) -> None:
        self.error: Exception | None = None
        self._stream = stream
        self._take = take
        self._thread = threading.Thread(target=self._run, name="sink encoder", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._stream:
            try:
                for key, data, config in coded_pictures(self._stream):
                    self._take(key, data, config)
            except Exception as error:
                self.error = error
                while self._stream.read(1 << 16):
                    pass

    def join(self) -> None:
        self._thread.join(_JOIN_SECONDS)


def _enlarge(descriptor: int) -> None:
    """A pipe that holds some coded pictures; the system may allow less."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
