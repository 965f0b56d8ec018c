"""Takes a ``multipart/x-mixed-replace`` stream apart, as MJPEG cameras really send it.

By the book (RFC 2046) a part follows the line ``--BOUNDARY``, has headers, an empty line and a body, and ends
at the next such line. Cameras differ: the boundary parameter may already hold the dashes, or be missing; the
line may lack them; lines may end in a bare LF; headers, ``Content-Length`` or the newline before a delimiter
may be missing; the length may be wrong. All of these are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEADERS = 16 * 1024

_MAX_DASHES = 70
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its headers (names in lower case) and its body."""

    headers: dict[str, str]
    body: bytes


def boundary_of(content_type: str) -> str:
    """The boundary parameter of a ``Content-Type``; "" if there is none."""
    match = re.search(r'(?i);\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;]+))', content_type)
    return (match[1] or match[2] or "") if match else ""


class MultipartReader:
    """Fed with bytes as they come, it gives the parts that are complete.

    A part with a right ``Content-Length`` is complete with its last byte, another one only when the next
    delimiter has come.

    Args:
        boundary: as in the ``Content-Type``; "" takes the first line that starts with two dashes.
        max_part: bytes that a part may have.
    """

    def __init__(self, boundary: str, max_part: int) -> None:
        self._token = _token(boundary.encode("latin-1", "replace"))
        self._max = max_part
        self._data = bytearray()
        self._seen = 0  # bytes of _data that hold no delimiter
        self._skipped = 0  # bytes since the last part
        self._headers: dict[str, str] | None = None  # of the part being read; None between parts
        self.ended = False

    def feed(self, data: bytes) -> list[Part]:
        """Take some bytes; the parts that they complete. After the closing delimiter nothing is read.

        Raises:
            ValueError: a part, headers or rubbish between parts beyond all bounds.
        """
        self._data += data
        parts: list[Part] = []
        while not self.ended:
            if self._headers is None and not self._read_headers():
                break
            part = self._read_body()
            if part is None:
                break
            parts.append(part)
        return parts

    def _read_headers(self) -> bool:
        """Go to the next delimiter and past the headers after it; False if they are not all there yet."""
        if not self._token:
            line = re.search(rb"(?:^|\n)(--[^\r\n]+)\r?\n", self._data)
            self._token = _token(line[1]) if line else b""
        found = self._find_delimiter() if self._token else None
        if found is None:
            self._drop_rubbish()
            return False
        start, after = found
        if self._data[after : after + 2] == b"--":
            self.ended = True
            return False
        line_end = self._data.find(b"\n", after)
        if line_end >= 0 and self._data[line_end + 1 : line_end + 3] == _JPEG_START:
            headers, body = b"", line_end + 1
        else:
            end = _END_OF_HEADERS.search(self._data, after)
            if end is None:
                if len(self._data) - start > MAX_HEADERS:
                    raise ValueError(f"headers of more than {MAX_HEADERS} bytes")
                return False
            headers, body = bytes(self._data[after : end.start()]), end.end()
        self._headers = _parse(headers)
        self._cut(body)
        self._skipped = 0
        return True

    def _drop_rubbish(self) -> None:
        drop = len(self._data) - len(self._token) - _MAX_DASHES - MAX_HEADERS
        if drop > 0:
            self._cut(drop)
            self._skipped += drop
        if self._skipped > self._max:
            raise ValueError(f"no boundary in {self._skipped} bytes")

    def _read_body(self) -> Part | None:
        assert self._headers is not None
        length = self._length()
        if length is not None:
            if len(self._data) < length:
                return None
            body = bytes(self._data[:length])
            if not body.startswith(_JPEG_START) or body.endswith(_JPEG_END):
                return self._complete(body, length)
            # A JPEG that does not end there: the length is wrong, or zeros pad it.
        found = self._find_delimiter()
        if found is None:
            if len(self._data) > self._max + MAX_HEADERS:
                raise ValueError(f"a part of more than {self._max} bytes")
            return None
        return self._complete(re.sub(rb"\r?\n\Z", b"", bytes(self._data[: found[0]])), found[0])

    def _length(self) -> int | None:
        assert self._headers is not None
        text = self._headers.get("content-length", "")
        if not (text.isascii() and text.isdecimal()):
            return None
        length = int(text[:12])
        if length > self._max:
            raise ValueError(f"a part of {length} bytes, more than {self._max}")
        return length

    def _complete(self, body: bytes, length: int) -> Part:
        assert self._headers is not None
        part = Part(self._headers, body)
        self._headers = None
        self._cut(length)
        return part

    def _find_delimiter(self) -> tuple[int, int] | None:
        """The next delimiter: where its dashes start and its token ends."""
        data, token = self._data, self._token
        at = data.find(token, self._seen)
        while at >= 0:
            after = at + len(token)
            start = at
            while start > max(0, at - _MAX_DASHES) and data[start - 1] == 0x2D:
                start -= 1
            if bytes(data[after : after + 2]) in (b"", b"-"):
                return None  # cannot be told yet
            at_line_start = start == 0 or data[start - 1] == 0x0A or data[start - 2 : start] == _JPEG_END
            if at_line_start and (data[after] in b"\r\n \t" or data[after : after + 2] == b"--"):
                return start, after
            at = data.find(token, at + 1)
        self._seen = max(self._seen, len(data) - len(token))
        return None

    def _cut(self, count: int) -> None:
        del self._data[:count]
        self._seen = 0


def _token(boundary: bytes) -> bytes:
    """A boundary without its dashes, for those are counted differently by different cameras."""
    return boundary.strip(b" \t").lstrip(b"-") or boundary


def _parse(block: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in block.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}
