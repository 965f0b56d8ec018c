"""Several cameras in one process, which edgecam itself does not do (it runs a process a camera): for
comparison.

    python benchmarks/many.py one|each URL...

``one``: all cameras take turns on one interpreter with two threads. ``each``: a thread a camera, each with a
single-threaded interpreter of its own. Same parts as in the product: capture threads, newest picture wins.
Prints a JSON line a result: ``camera``, and how old the picture was when it was taken.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from edgecam import build
from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.model import Model
from edgecam.registry import parse_uri
from edgecam.sources.mjpeg import HttpSource
from edgecam.types import Frame

NAP = 0.0005


def look(model: Model, camera: int, frame: Frame) -> None:
    frame.times.taken = time.monotonic()
    model.run(frame)
    taken = (frame.times.taken - frame.times.captured) * 1000
    # In one piece: other threads write too.
    sys.stdout.write(json.dumps({"camera": camera, "ms": {"taken": taken}}) + "\n")
    sys.stdout.flush()


def one(captures: list[Capture]) -> None:
    model = build.load_model(Settings(threads=2))
    while True:
        found = False
        for camera, capture in enumerate(captures):
            frame = capture.slot.take(0)
            if frame is not None:
                found = True
                look(model, camera, frame)
        if not found:
            time.sleep(NAP)


def each(captures: list[Capture]) -> None:
    def run(camera: int, capture: Capture) -> None:
        model = build.load_model(Settings(threads=1))
        while True:
            frame = capture.slot.take(0.25)
            if frame is not None:
                look(model, camera, frame)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(captures)]
    for thread in threads:
        thread.start()
    threads[0].join()


def main() -> None:
    way, *urls = sys.argv[1:]
    captures = [Capture(HttpSource(parse_uri(url))) for url in urls]
    for capture in captures:
        capture.start()
    {"one": one, "each": each}[way](captures)


if __name__ == "__main__":
    main()
