"""A USB webcam that is a program: UVC over USB/IP, driven by the kernel's own uvcvideo.

It offers YUYV first and then Motion JPEG, as cheap webcams do, and sends whatever a test gives it, broken
pictures too. They travel over a bulk endpoint: an emulated machine is too slow for isochronous ones.
References: USB Video Class 1.1; the kernel's Documentation/usb/usbip_protocol.rst.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

NAME = "Test Webcam"
SIZES = ((640, 480), (1280, 720))
INTERVALS = (1_000_000, 2_000_000)  # 10 and 5 frames a second, in units of 100 ns
PAYLOAD = 16384

_ATTACH = Path("/sys/devices/platform/vhci_hcd.0/attach")
_HIGH_SPEED = 3
_SUBMIT, _UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_PROBE = struct.Struct("<HBBI5HII")
_YUY2 = b"YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def _descriptor(kind: int, layout: str, *values: int | bytes) -> bytes:
    body = struct.pack("<" + layout, *values)
    return bytes((len(body) + 2, kind)) + body


def _sizes(subtype: int) -> bytes:
    out = b""
    for index, (width, height) in enumerate(SIZES, 1):
        most, rate = width * height * 2, width * height * 160
        head = (subtype, index, 0, width, height, rate // 2, rate, most, INTERVALS[0], len(INTERVALS))
        out += _descriptor(0x24, f"BBBHHIIIIB{len(INTERVALS)}I", *head, *INTERVALS)
    return out


def _configuration() -> bytes:
    units = _descriptor(0x24, "BBHBBHHHB", 2, 1, 0x0201, 0, 0, 0, 0, 0, 0)  # camera
    units += _descriptor(0x24, "BBHBBB", 3, 2, 0x0101, 0, 1, 0)  # USB stream
    formats = _descriptor(0x24, "BBB16s6B", 4, 1, len(SIZES), _YUY2, 16, 1, 0, 0, 0, 0) + _sizes(5)
    formats += _descriptor(0x24, "9B", 6, 2, len(SIZES), 1, 1, 0, 0, 0, 0) + _sizes(7)
    body = (
        _descriptor(0x0B, "6B", 0, 2, 14, 3, 0, 0)
        + _descriptor(4, "7B", 0, 0, 0, 14, 1, 0, 0)
        + _descriptor(0x24, "BHHIBB", 1, 0x0100, 13 + len(units), 1_000_000, 1, 1)
        + units
        + _descriptor(4, "7B", 1, 0, 1, 14, 2, 0, 0)
        + _descriptor(0x24, "BBH9B", 1, 2, 15 + len(formats), 0x81, 0, 2, 0, 0, 0, 1, 0, 0)
        + formats
        + _descriptor(5, "BBHB", 0x81, 2, 512, 0)
    )
    return _descriptor(2, "H5B", 9 + len(body), 2, 1, 0, 0x80, 250) + body


def _text(text: str) -> bytes:
    return _descriptor(3, f"{len(text) * 2}s", text.encode("utf-16-le"))


DESCRIPTORS = {
    0x0100: _descriptor(1, "HBBBBHHHBBBB", 0x0200, 0xEF, 2, 1, 64, 0x1209, 1, 0x0100, 1, 2, 0, 1),
    0x0200: _configuration(),
    0x0300: _descriptor(3, "H", 0x0409),
    0x0301: _text("edgecam"),
    0x0302: _text(NAME),
}


class Webcam:
    """Plugged in when made, unplugged by :meth:`unplug`.

    Args:
        picture: (format, (width, height), number) -> the bytes of one frame; format is "YUYV" or "MJPG".
    """

    def __init__(self, picture: Callable[[str, tuple[int, int], int], bytes]) -> None:
        self._picture = picture
        self._socket, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._waiting: deque[int] = deque()
        self._chunks: deque[bytes] = deque()
        self._probe = bytearray(_PROBE.size)
        self._number = 0
        self._next = 0.0
        self._set(self._probe)
        self._thread = threading.Thread(target=self._serve, name="webcam", daemon=True)
        self._thread.start()
        with far_end:
            _ATTACH.write_text(f"0 {far_end.fileno()} 1 {_HIGH_SPEED}")

    def unplug(self) -> None:
        """Pull the plug."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    @property
    def _format(self) -> tuple[str, tuple[int, int], float]:
        _, kind, frame, interval, *_ = _PROBE.unpack(self._probe)
        return "YUYV" if kind == 1 else "MJPG", SIZES[frame - 1], interval / 1e7

    def _serve(self) -> None:
        while True:
            idle = max(0.0, self._next - time.monotonic()) if self._waiting else None
            readable, _, _ = select.select([self._socket], [], [], idle)
            if readable and not self._command():
                return
            self._stream()

    def _command(self) -> bool:
        """Handle one message of the kernel; False once it has hung up."""
        head = self._receive(48)
        if not head:
            return False
        command, seqnum, _, to_host, endpoint, _, length = struct.unpack(">5I I i 20x", head)
        if command == _UNLINK:
            victim = struct.unpack_from(">I", head, 20)[0]
            found = victim in self._waiting
            if found:
                self._waiting.remove(victim)
            self._send(_RET_UNLINK, seqnum, struct.pack(">i24x", -errno.ECONNRESET if found else 0))
            return True
        data = b"" if to_host else self._receive(length)
        if endpoint:
            self._waiting.append(seqnum)
        else:
            status, reply = self._control(head[40:48], data)
            self._answer(seqnum, status, reply, len(data) if data else None)
        return True

    def _control(self, setup: bytes, data: bytes) -> tuple[int, bytes]:
        """(status, data) of a control transfer."""
        kind, what, value, index, length = struct.unpack("<BBHHH", setup)
        if kind & 0x60 == 0x20:
            return self._class_request(what, value >> 8, index & 0xFF, data, length)
        if kind == 0x80 and what == 6:
            known = DESCRIPTORS.get(value)
            return (0, known[:length]) if known else (-errno.EPIPE, b"")
        if what == 0:
            return 0, bytes(2)
        return 0, b""  # SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE

    def _class_request(
        self, what: int, selector: int, interface: int, data: bytes, length: int
    ) -> tuple[int, bytes]:
        if interface != 1 or selector not in (1, 2):
            return -errno.EPIPE, b""
        if what == 0x01:  # SET_CUR of probe or commit
            self._set(bytearray(data.ljust(_PROBE.size, b"\0")))
            self._chunks.clear()
            return 0, b""
        if what == 0x86:
            return 0, b"\x03"
        return 0, bytes(self._probe[:length])

    def _set(self, wanted: bytearray) -> None:
        """Keep what was asked for, within what there is."""
        hint, kind, frame, interval, *rest = _PROBE.unpack(wanted)
        frame = min(max(frame, 1), len(SIZES))
        interval = interval if interval in INTERVALS else INTERVALS[0]
        most = SIZES[frame - 1][0] * SIZES[frame - 1][1] * 2
        self._probe[:] = _PROBE.pack(hint, min(max(kind, 1), 2), frame, interval, *rest[:5], most, PAYLOAD)

    def _stream(self) -> None:
        """Answer waiting transfers with the next pieces of the picture that is due."""
        while self._waiting:
            if not self._chunks:
                if time.monotonic() < self._next:
                    return
                self._cut()
            self._answer(self._waiting.popleft(), 0, self._chunks.popleft())

    def _cut(self) -> None:
        """Cut a new picture into payloads with a header of two bytes; the last is marked as its end."""
        kind, size, interval = self._format
        self._next = max(self._next + interval, time.monotonic())
        data = self._picture(kind, size, self._number)
        toggle, room = self._number & 1, PAYLOAD - 2
        self._number += 1
        pieces = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
        for piece in pieces:
            last = 2 if piece is pieces[-1] else 0
            self._chunks.append(bytes((2, 0x80 | last | toggle)) + piece)

    def _answer(self, seqnum: int, status: int, data: bytes, taken: int | None = None) -> None:
        """End a transfer: with ``data`` for the host, or with ``taken`` bytes from it."""
        length = len(data) if taken is None else taken
        self._send(_RET_SUBMIT, seqnum, struct.pack(">iiiii8x", status, length, 0, 0, 0) + data)

    def _send(self, command: int, seqnum: int, rest: bytes) -> None:
        try:
            self._socket.sendall(struct.pack(">5I", command, seqnum, 0, 0, 0) + rest)
        except BrokenPipeError:
            self._waiting.clear()

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                piece = self._socket.recv(length - len(data))
            except ConnectionResetError:
                return b""
            if not piece:
                return b""
            data += piece
        return data
