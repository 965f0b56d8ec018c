"""Viewers of a Motion JPEG stream, any number of them, in a process of their own."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import process

_MARK = b"Content-Type: image/jpeg"


class Viewers:
    """They read as fast as pictures come and throw them away. A context manager.

    Args:
        url: of the stream.
        count: how many.
    """

    def __init__(self, url: str, count: int) -> None:
        fork = multiprocessing.get_context("fork")
        self._pictures = fork.Array("q", count, lock=False)
        self._bytes = fork.Value("q", 0, lock=False)
        self._process = fork.Process(target=_read, args=(url, self._pictures, self._bytes), daemon=True)
        self._process.start()

    def counts(self) -> list[int]:
        """Pictures that each has got so far."""
        return list(self._pictures)

    @property
    def received(self) -> int:
        """Bytes that all have got so far."""
        return int(self._bytes.value)

    def cpu(self) -> float:
        """CPU seconds that reading has cost so far."""
        return process.cpu(self._process.pid or 0)

    def __enter__(self) -> Viewers:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _read(url: str, pictures: Any, total: Any) -> None:
    place = urlsplit(url)
    request = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode()
    waiting, buffer = selectors.DefaultSelector(), bytearray(1 << 18)
    for number in range(len(pictures)):
        viewer = socket.create_connection((place.hostname, place.port), timeout=20)
        viewer.sendall(request)
        viewer.setblocking(False)
        waiting.register(viewer, selectors.EVENT_READ, number)
        time.sleep(0.002)  # not all in one moment
    tails = [b""] * len(pictures)
    while True:
        for key, _ in waiting.select():
            assert isinstance(key.fileobj, socket.socket)
            got = key.fileobj.recv_into(buffer)
            if not got:
                waiting.unregister(key.fileobj)
                continue
            data = tails[key.data] + bytes(memoryview(buffer)[:got])
            pictures[key.data] += data.count(_MARK)
            tails[key.data] = data[-(len(_MARK) - 1) :]  # a mark may lie over two pieces
            total.value += got
