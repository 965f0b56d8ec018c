"""A camera for benchmarks: numbered pictures over HTTP at a steady rate, from a process of its own.

Its pictures are the synthetic scene, so each spells its number (:func:`edgecam.sources.synthetic.seq_of`),
and the camera notes when it sent which. They are made beforehand: sending them costs next to nothing.
"""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from edgecam import jpeg
from edgecam.registry import source_uri
from edgecam.sources.demo import DemoSource
from edgecam.sources.synthetic import SyntheticSource

PICTURES = 150
QUALITY = 85


def numbered(size: tuple[int, int] = (1280, 720), count: int = PICTURES) -> list[bytes]:
    """The synthetic scene, each picture with its number, as a camera's JPEG."""
    scene = SyntheticSource(source_uri(f"synthetic:?size={size[0]}x{size[1]}"))
    return [jpeg.encode(scene.render(number), QUALITY) for number in range(count)]


def photographs(size: tuple[int, int] = (1280, 720), count: int = PICTURES) -> list[bytes]:
    """The demo scene, which is photographs that move, as a camera's JPEG."""
    scene = DemoSource(source_uri(f"demo:?size={size[0]}x{size[1]}&frames={count}"))
    scene.open()
    made = [jpeg.encode(frame.image, QUALITY) for frame in iter(scene.read, None)]
    scene.close()
    return made


class Camera:
    """Pictures as Motion JPEG at ``url``. A context manager.

    Args:
        made: what it sends, again and again.
        fps: pictures a second.
        shared: every client gets the same picture at the same time; else each gets them from number 0 on, and
            only one at a time may ask when they were sent.
    """

    def __init__(self, made: Sequence[bytes], fps: float, *, shared: bool = False) -> None:
        fork = multiprocessing.get_context("fork")
        self._count = len(made)
        self._sent = fork.Array("d", self._count, lock=False)
        port = fork.Value("i", 0)
        self._process = fork.Process(target=_serve, args=(made, fps, shared, port, self._sent), daemon=True)
        self._process.start()
        while not port.value:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{port.value}/cam.mjpg"

    def sent(self, number: int) -> float:
        """When the picture of a number was last sent to the last client, monotonic seconds."""
        return float(self._sent[number % self._count])

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _serve(made: Sequence[bytes], fps: float, shared: bool, port: Any, sent: Any) -> None:
    zero = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        port.value = server.getsockname()[1]
        while True:
            client, _ = server.accept()
            threading.Thread(
                target=_stream, args=(client, made, fps, zero if shared else 0.0, sent), daemon=True
            ).start()


def _stream(client: socket.socket, made: Sequence[bytes], fps: float, zero: float, sent: Any) -> None:
    with client:
        client.recv(65536)
        try:
            client.sendall(
                b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
            )
            due, number = time.monotonic(), 0
            if zero:
                number = int((due - zero) * fps) + 1
                due = zero + number / fps
                time.sleep(max(0.0, due - time.monotonic()))
            while True:
                data = made[number % len(made)]
                sent[number % len(made)] = due if zero else time.monotonic()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                client.sendall(head.encode() + data + b"\r\n")
                number += 1
                due += 1 / fps
                time.sleep(max(0.0, due - time.monotonic()))
        except OSError:
            return
