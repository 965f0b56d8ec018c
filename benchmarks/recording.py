"""What recording costs a run whose camera gives JPEG: CPU of the whole process, of one core.

    python -m benchmarks.recording [--size 1280x720] [--fps 30] [--seconds 20] [--folder DIR] [--rounds 3]

A live source hands over JPEG at a steady rate to a whole pipeline, whose engine is the fake one (it costs
little and the same each time). Each round runs every way one after the other, so that a busy machine hits
all of them; ``adds`` is the median over rounds of the difference in CPU a frame to the same run without
recording, as a part of one core at the rate asked for. ``clips, waiting`` keeps the pre-roll and no event
comes; ``clips, in an event`` writes all the time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.overlay import scene
from edgecam import build, jpeg, registry
from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.events import Best, Event, Moment
from edgecam.pipeline import Pipeline, PipelineOptions
from edgecam.registry import parse_size
from edgecam.types import Frame, Packet

WAYS = {
    "without": [],
    "clips, waiting": ["clips:{folder}?pre=5s&free=0"],
    "clips, in an event": ["clips:{folder}?pre=5s&free=0"],
    "segments": ["record:{folder}/?segment=5m&free=0"],
    "segments and clips": ["record:{folder}/?segment=5m&free=0", "clips:{folder}?pre=5s&free=0"],
}


class Camera:
    """JPEG at a steady rate."""

    live, total, broken, name = True, None, 0, "camera:0"

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        picture = scene(*size)
        self._pictures = [jpeg.encode(np.roll(picture, 8 * i, axis=1), 85) for i in range(8)]
        self._size, self._fps, self._seq = size, fps, 0
        self._due = time.monotonic()

    def open(self) -> None:
        pass

    def read(self) -> Frame:
        self._due = max(self._due + 1 / self._fps, time.monotonic() - 1)
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._seq += 1
        data = bytes(bytearray(self._pictures[self._seq % 8]))  # memory of its own, as a camera's is
        return Frame(self._seq, jpeg=data, size=self._size, decode=jpeg.decode, source=self.name)

    def close(self) -> None:
        pass


class InEvent:
    """An event that starts with the first picture, in front of a sink."""

    def __init__(self, sink: Any) -> None:
        self._sink, self._told = sink, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def push(self, packet: Packet) -> None:
        if not self._told and packet.result is not None:
            self._told = True
            moment = Moment(packet.frame.seq, packet.frame.moment, packet.frame.wall)
            best = Best(moment, 0.9, (0.1, 0.1, 0.4, 0.6), 1, "person")
            packet.events = (
                Event(
                    "e", "start", "all", "", "picture", "person", 1, (1,), 1, "", moment, moment, best, True
                ),
            )
        self._sink.push(packet)


def cpu(way: str, args: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """CPU milliseconds a frame, and frames a second."""
    settings = Settings(engine="fake")
    model = build.load_model(settings)
    sinks: list[Any] = []
    for text in WAYS[way]:
        uri = registry.sink_uri(text.format(folder=folder))
        sink = registry.load(registry.SINKS, "sink", uri.scheme)(uri)
        sinks.append(InEvent(sink) if "event" in way else sink)
    capture = Capture(Camera(args.size, args.fps))
    pipeline = Pipeline(
        capture, model, sinks, options=PipelineOptions(duration=args.seconds), report=lambda _: None
    )
    capture.start()
    spent = time.process_time()
    report = pipeline.run()
    spent = time.process_time() - spent
    model.engine.close()
    return spent / report.frames * 1000, report.fps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=parse_size, default=(1280, 720))
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            rounds.append({way: cpu(way, args, Path(folder)) for way in WAYS})
    for way in WAYS:
        each_frame = statistics.median(each[way][0] for each in rounds)
        added = statistics.median(each[way][0] - each["without"][0] for each in rounds)
        fps = statistics.median(each[way][1] for each in rounds)
        percent = added * args.fps / 10
        print(f"{way:20} {each_frame:5.2f} ms a frame at {fps:.1f} FPS, adds {percent:+.1f} % of a core")


if __name__ == "__main__":
    main()
