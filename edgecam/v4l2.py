"""Video4Linux2 with the standard library alone: what a video node can do, and frames out of it.

Why not ``cv2.VideoCapture``: it gives neither the driver's own time stamps nor exact JPEG bytes, its read
has no time limit that a caller can set, and it tells every failure apart by the one word False. The kernel's
interface gives all four. Reference: https://docs.kernel.org/userspace-api/media/v4l/v4l2.html

Every struct is written in the native layout of :mod:`struct`, so one text serves 64-bit and 32-bit programs
(``0L`` pads to the size of a pointer, as the C compiler does). Everything here raises OSError with the
kernel's errno; :mod:`edgecam.cameras` turns that into words.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import select
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_VIDEO_M2M_MPLANE = 0x0000_4000
CAP_VIDEO_M2M = 0x0000_8000
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000

_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_MMAP = 1  # V4L2_MEMORY_MMAP
_DISCRETE = 1  # V4L2_FRMSIZE_TYPE_DISCRETE and V4L2_FRMIVAL_TYPE_DISCRETE
_FLAG_ERROR = 0x0000_0040
_FLAG_TIMESTAMP_MASK = 0x0000_E000
_FLAG_TIMESTAMP_MONOTONIC = 0x0000_2000

CAPABILITY = "16s32s32sIII12x"  # driver, card, bus_info, version, capabilities, device_caps
FMTDESC = "III32sI16x"  # index, type, flags, description, pixelformat
FRMSIZE = "III24s8x"  # index, pixel_format, type, union
FRMIVAL = "IIIII24s8x"  # index, pixel_format, width, height, type, union
FORMAT = "I0L200s"  # type, union; the union holds pointers, so it is aligned like one
PIX_FORMAT = "12I"  # width, height, pixelformat, field, bytesperline, sizeimage, colorspace, ...
PARM = "I200s"  # type, union of unaligned words
REQUESTBUFFERS = "5I"  # count, type, memory, capabilities, flags and reserved
# index, type, bytesused, flags, field, timestamp (2 longs), timecode, sequence, memory, offset, length, free
BUFFER = "5I2l16xII0LI0LII4x0L"

_WRITE, _READ = 1, 2


def request(direction: int, number: int, layout: str) -> int:
    """The ioctl number of ``_IOC(direction, 'V', number, sizeof(struct))``."""
    return direction << 30 | struct.calcsize(layout) << 16 | ord("V") << 8 | number


QUERYCAP = request(_READ, 0, CAPABILITY)
ENUM_FMT = request(_READ | _WRITE, 2, FMTDESC)
S_FMT = request(_READ | _WRITE, 5, FORMAT)
REQBUFS = request(_READ | _WRITE, 8, REQUESTBUFFERS)
QUERYBUF = request(_READ | _WRITE, 9, BUFFER)
QBUF = request(_READ | _WRITE, 15, BUFFER)
DQBUF = request(_READ | _WRITE, 17, BUFFER)
STREAMON = request(_WRITE, 18, "i")
STREAMOFF = request(_WRITE, 19, "i")
S_PARM = request(_READ | _WRITE, 22, PARM)
ENUM_FRAMESIZES = request(_READ | _WRITE, 74, FRMSIZE)
ENUM_FRAMEINTERVALS = request(_READ | _WRITE, 75, FRMIVAL)


def fourcc(name: str) -> int:
    """``"YUYV"`` as the kernel's number; shorter names are filled with spaces."""
    return int.from_bytes(name.ljust(4).encode("ascii"), "little")


def fourcc_name(number: int) -> str:
    """The kernel's number as up to four letters, with ``-BE`` where the top bit says big-endian."""
    name = (number & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", "replace").rstrip()
    return f"{name}-BE" if number >> 31 else name


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Capability:
    """Who drives a node and what it can do; ``caps`` are those of this very node."""

    driver: str
    card: str
    bus: str
    caps: int

    @property
    def captures(self) -> bool:
        """True for a node that gives pictures: neither metadata, nor output, nor memory to memory."""
        wanted = CAP_VIDEO_CAPTURE | CAP_STREAMING
        return self.caps & wanted == wanted and not self.caps & (CAP_VIDEO_M2M | CAP_VIDEO_M2M_MPLANE)


@dataclass(frozen=True, slots=True)
class Sizes:
    """One entry of a format's sizes: a single size (``step`` is (0, 0)), or a range of them.

    Attributes:
        min: smallest (width, height).
        max: largest (width, height); the same as ``min`` for a single size.
        step: increments of width and height within the range.
        rates: frames a second at the largest size, highest first; (lowest, highest) where the driver names a
            range; empty if the driver does not say.
    """

    min: tuple[int, int]
    max: tuple[int, int]
    step: tuple[int, int] = (0, 0)
    rates: tuple[float, ...] = ()

    def nearest(self, width: int, height: int) -> tuple[int, int]:
        """The size of this entry that is nearest to the one asked for."""
        return self._fit(width, 0), self._fit(height, 1)

    def _fit(self, wanted: int, axis: Literal[0, 1]) -> int:
        low, high, step = self.min[axis], self.max[axis], max(self.step[axis], 1)
        return min(max(low + round((wanted - low) / step) * step, low), high)


@dataclass(frozen=True, slots=True)
class Format:
    """A pixel format that a node offers, with its sizes in the driver's order."""

    fourcc: str
    description: str
    sizes: tuple[Sizes, ...]


@dataclass(frozen=True, slots=True)
class Pixels:
    """The format that the driver settled on; ``stride`` is bytes a line."""

    fourcc: str
    width: int
    height: int
    stride: int


@dataclass(frozen=True, slots=True)
class Grab:
    """What one buffer held.

    Attributes:
        data: the bytes used, a copy.
        sequence: the driver's frame number.
        timestamp: seconds of the monotonic clock, or None if the driver uses another clock.
        error: the driver says that the data are damaged.
    """

    data: bytes
    sequence: int
    timestamp: float | None
    error: bool


class Node:
    """An open video node. Not thread-safe, except for :meth:`wake`.

    Raises:
        OSError: from every method, as the kernel says it.
    """

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._maps: list[mmap.mmap] = []
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def close(self) -> None:
        """Stop streaming and give everything back; safe to call twice."""
        with self._lock:
            if self.fd < 0:
                return
            with contextlib.suppress(OSError):  # the device may be gone already
                self.ioctl(STREAMOFF, "i", _CAPTURE)
            for memory in self._maps:
                memory.close()
            self._maps.clear()
            os.close(self.fd)
            os.close(self._wake)
            self.fd = -1

    def wake(self) -> None:
        """Make :meth:`wait` return at once, now or at its next call; may be called from another thread."""
        with self._lock:  # a closed descriptor's number may be somebody else's by now
            if self.fd >= 0:
                os.eventfd_write(self._wake, 1)

    def ioctl(self, number: int, layout: str, *values: Any) -> tuple[Any, ...]:
        """One call with a struct in and out; missing values are zero."""
        zeros = struct.unpack(layout, bytes(struct.calcsize(layout)))
        data = bytearray(struct.pack(layout, *values, *zeros[len(values) :]))
        while True:
            try:
                fcntl.ioctl(self.fd, number, data, True)
                return struct.unpack(layout, data)
            except InterruptedError:
                continue

    def capability(self) -> Capability:
        driver, card, bus, _, caps, device_caps = self.ioctl(QUERYCAP, CAPABILITY)
        return Capability(
            _text(driver), _text(card), _text(bus), device_caps if caps & CAP_DEVICE_CAPS else caps
        )

    def formats(self) -> tuple[Format, ...]:
        """Every pixel format with its sizes and rates."""
        out = []
        for reply in self._enumerate(ENUM_FMT, FMTDESC, _CAPTURE):
            _, _, _, description, number = reply
            sizes = tuple(self._sizes(number))
            out.append(Format(fourcc_name(number), _text(description), sizes))
        return tuple(out)

    def _sizes(self, number: int) -> Iterator[Sizes]:
        for _, _, kind, raw in self._enumerate(ENUM_FRAMESIZES, FRMSIZE, number):
            if kind == _DISCRETE:
                width, height = struct.unpack_from("2I", raw)
                yield Sizes((width, height), (width, height), rates=self._rates(number, width, height))
            else:
                x0, x1, dx, y0, y1, dy = struct.unpack("6I", raw)
                yield Sizes((x0, y0), (x1, y1), (dx, dy), self._rates(number, x1, y1))
                return

    def _rates(self, number: int, width: int, height: int) -> tuple[float, ...]:
        rates: set[float] = set()
        for *_, kind, raw in self._enumerate(ENUM_FRAMEINTERVALS, FRMIVAL, number, width, height, 0, b""):
            pairs = struct.unpack("6I", raw)
            count = 1 if kind == _DISCRETE else 2
            rates.update(round(pairs[2 * i + 1] / pairs[2 * i], 3) for i in range(count) if pairs[2 * i])
            if kind != _DISCRETE:
                break
        return tuple(sorted(rates, reverse=True))

    def _enumerate(self, number: int, layout: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Replies for index 0, 1, 2, ... until the driver says that there are no more, or cannot say."""
        for index in range(256):
            try:
                yield self.ioctl(number, layout, index, *values)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY, errno.ENODATA):
                    return
                raise

    def set_format(self, name: str, width: int, height: int) -> Pixels:
        """Ask for a format; the driver takes the nearest it has and says which.

        Raises:
            OSError: EBUSY while another program streams.
        """
        pix = struct.pack(PIX_FORMAT, width, height, fourcc(name), *[0] * 9)
        _, raw = self.ioctl(S_FMT, FORMAT, _CAPTURE, pix)
        got_width, got_height, number, _, stride, *_ = struct.unpack_from(PIX_FORMAT, raw)
        return Pixels(fourcc_name(number), got_width, got_height, stride)

    def set_rate(self, fps: float) -> float:
        """Ask for a frame rate; the rate the driver took, 0.0 if it cannot set one."""
        step = Fraction(1 / fps).limit_denominator(10_000)
        wanted = struct.pack("4I", 0, 0, step.numerator, step.denominator)
        try:
            _, raw = self.ioctl(S_PARM, PARM, _CAPTURE, wanted)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):
                return 0.0
            raise
        _, _, numerator, denominator = struct.unpack_from("4I", raw)
        return denominator / numerator if numerator else 0.0

    def start(self, buffers: int = 4) -> None:
        """Share ``buffers`` buffers with the driver, queue them and stream."""
        count, *_ = self.ioctl(REQBUFS, REQUESTBUFFERS, buffers, _CAPTURE, _MMAP)
        for index in range(count):
            reply = self._buffer(QUERYBUF, index)
            *_, offset, length, _ = reply
            self._maps.append(mmap.mmap(self.fd, length, offset=offset))
            self._buffer(QBUF, index)
        self.ioctl(STREAMON, "i", _CAPTURE)

    def _buffer(self, number: int, index: int = 0) -> tuple[Any, ...]:
        return self.ioctl(number, BUFFER, index, _CAPTURE, *[0] * 6, _MMAP)

    def wait(self, timeout: float) -> bool:
        """True once a buffer is ready or the device has failed, False after ``timeout`` seconds or a wake."""
        ready = dict(self._poll.poll(max(timeout, 0) * 1000))
        return self.fd in ready and self._wake not in ready

    def take(self) -> Grab | None:
        """The newest filled buffer, or None if there is none yet; older ones go back to the driver unread.

        The bytes are copied, so that the buffer is the driver's again at once and nothing of ours points into
        memory that goes away with the device.

        Raises:
            OSError: ENODEV once the device is gone, EIO when it failed.
        """
        newest = self._dequeue()
        if newest is None:
            return None
        while (newer := self._dequeue()) is not None:
            self._buffer(QBUF, newest[0])
            newest = newer
        index, _, used, flags, _, seconds, micro, sequence, *_ = newest
        data = self._maps[index][:used]
        self._buffer(QBUF, index)
        monotonic = flags & _FLAG_TIMESTAMP_MASK == _FLAG_TIMESTAMP_MONOTONIC
        stamp = seconds + micro / 1e6 if monotonic else None
        return Grab(data, sequence, stamp, bool(flags & _FLAG_ERROR))

    def _dequeue(self) -> tuple[Any, ...] | None:
        try:
            return self._buffer(DQBUF)
        except BlockingIOError:
            return None
