"""A network camera that is killed, freezes, sends rubbish and comes back: nothing is lost, nothing leaks."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecam import resources
from tests.e2e.command import Running
from tests.faults.watched import Watched, rounds
from tests.helpers.http_camera import HttpCamera, Request, picture
from tests.helpers.rtsp import RtspServer
from tests.helpers.waiting import until

MODEL = resources.folder("models") / "classify-person.tflite"
GROWTH = 12  # MB; the allocator's own breathing


def arguments(results: Path) -> list[object]:
    return ["--model", MODEL, "--sink", "web:?port=0", "--sink", f"jsonl:{results}?overwrite=yes"]


@pytest.mark.rtsp
def test_an_rtsp_server_that_is_killed_and_freezes(tmp_path: Path) -> None:
    chance = random.Random(3)
    results = tmp_path / "results.jsonl"
    with RtspServer() as server, Running("run", server.url(), *arguments(results)) as run:
        watched = Watched(run)
        watched.state("running")
        after_first = None
        for number in range(1, rounds(2) + 1):
            if chance.random() < 0.5 or number == 1:
                server.kill()
                watched.state("waiting")
                server.start()
            else:
                server.freeze()
                watched.state("waiting")
                server.thaw()
            watched.state("running")
            watched.results_go_on()
            assert watched.status()["lost"] >= 1
            if number == 2:
                after_first = watched.held()
        now = watched.held()
        assert after_first is not None
        assert now.threads <= after_first.threads
        assert now.files <= after_first.files
        assert now.memory <= after_first.memory + GROWTH
        assert run.end(signal.SIGTERM) == 0


JPEG = [picture(number) for number in range(4)]


def faults(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Faults of real cameras among good pictures: (name, bytes of the stream's part)."""
    while True:
        good = JPEG[chance.randrange(len(JPEG))]
        yield "good", good
        broken = bytearray(good)
        for _ in range(40):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield from chance.sample(
            [
                ("truncated", good[: chance.randrange(2, len(good))]),
                ("overwritten", bytes(broken)),
                ("empty", b""),
                ("no picture", b"\0" * chance.randrange(1, 5000)),
                ("text", b"<html>503 Service Unavailable</html>"),
                ("two at once", good + good),
                ("another size", bytes(OTHER_SIZE)),
            ],
            k=2,
        )


def _other_size() -> bytes:
    done, data = cv2.imencode(".jpg", np.full((96, 128, 3), 90, np.uint8))
    assert done
    return bytes(data)


OTHER_SIZE = _other_size()


def test_an_http_camera_that_sends_all_kinds_of_rubbish(tmp_path: Path) -> None:
    """Broken pictures are skipped and counted, bursts are thinned, breaks in the stream are mended."""
    chance = random.Random(5)
    sent = {"good": 0, "parts": 0, "breaks": 0}
    most = 60 * rounds(2)
    done = threading.Event()

    def stream(request: Request) -> None:
        request.start("multipart/x-mixed-replace; boundary=frame")
        for name, body in faults(chance):
            if done.is_set():  # enough: from now on it behaves
                name, body = "good", JPEG[0]
                time.sleep(0.03)
            elif chance.random() < 0.02 and sent["good"] > 20:
                sent["breaks"] += 1
                request.send(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + body[: len(body) // 2])
                return
            length = f"Content-Length: {len(body)}\r\n".encode() if chance.random() < 0.7 else b""
            request.send(b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + body + b"\r\n")
            sent["parts"] += 1
            sent["good"] += name == "good"
            if sent["parts"] >= most:
                done.set()
            time.sleep(0 if chance.random() < 0.3 else 0.03)  # in bursts

    results = tmp_path / "results.jsonl"
    with HttpCamera(cam=stream) as camera, Running("run", camera.url("cam"), *arguments(results)) as run:
        watched = Watched(run)
        until("the stream ended for good", done.is_set, 60 + most)
        status = watched.state("running")
        watched.results_go_on()
        assert status["broken"] > 0
        assert status["frames"] + status["dropped"] >= sent["good"] // 2
        before = watched.held()
        watched.results_go_on()
        assert watched.held().threads <= before.threads
        assert run.end(signal.SIGTERM) == 0
