"""What a frame costs outside the network: CPU milliseconds by stage, at three sizes.

    python benchmarks/cost.py [--frames 200] [--seconds 6] [--out FOLDER]

First each stage by itself, on pictures of the demo scene as a camera's JPEG: CPU time of the process, all
threads, so what a second thread does counts too. Then the whole command, as fast as a Motion JPEG file comes
and on a live camera over HTTP at 30 a second, with the engine that does nothing (``--engine fake``): all of
its CPU is outside the network. Wanted: under 2.2 ms at 1280x720 without viewers, the decoder included; that
was written for a machine whose decoder takes 1.65 ms for a whole picture of that size, so the same figure of
this machine stands beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plot
import report
from camera import Camera, photographs
from overlay import LABELS
from watched import Run

from edgecam import build, jpeg, mjpeg
from edgecam.config import Settings
from edgecam.contract import ModelSpec
from edgecam.overlay import Overlay
from edgecam.preprocess import Preprocessor
from edgecam.types import Detections, Frame, Packet, Status, TensorInfo

SIZES = ((640, 480), (1280, 720), (1920, 1080))
PICTURES = 60
ALWAYS = ("decode", "resize", "quantise", "decode outputs", "result as JSON")
VIEWERS = ("overlay", "encode")
FLAGS = ("--engine", "fake")
REPEATS = 10  # of the pictures in the film: opening it anew at its end is nothing that is to be measured


def cpu_ms(work: Callable[[int], object], frames: int) -> float:
    """CPU milliseconds a call: of five parts of the run the middle one."""
    for number in range(5):
        work(number)
    parts = []
    for part in range(5):
        began = time.process_time()
        for number in range(frames // 5):
            work(part * frames // 5 + number)
        parts.append((time.process_time() - began) / (frames // 5) * 1000)
    return statistics.median(parts)


def stages(size: tuple[int, int], films: list[bytes], frames: int) -> dict[str, float]:
    """Each stage by itself, with the bundled detector."""
    model = build.load_model(Settings())
    preprocess, head = model.preprocessor, model.head
    count = len(films)
    need = preprocess.need(size)
    small = [mjpeg.decode(data, *need) for data in films]
    tensor, geometry = preprocess(Frame(0, jpeg=films[0], size=size, decode=mjpeg.decode))
    outputs = [a.copy() for a in model.engine.infer(tensor.copy())]
    _, height, width, _ = model.engine.input.shape
    table = Preprocessor(
        ModelSpec("x", "detect", "ssd-postprocess", std=(255.0,)),
        TensorInfo("x", (1, height, width, 3), np.dtype(np.int8), 1 / 255, -128),
    )
    plain = Preprocessor(
        ModelSpec("x", "detect", "ssd-postprocess"),
        TensorInfo("x", (1, height, width, 3), np.dtype(np.uint8), 1.0, 0),
    )
    found = {
        "decode whole": cpu_ms(lambda n: mjpeg.decode(films[n % count]), frames),
        "mend": cpu_ms(lambda n: mjpeg.mend(films[n % count]), frames),
        "decode": cpu_ms(lambda n: mjpeg.decode(films[n % count], *need), frames),
        "resize": cpu_ms(lambda n: plain.from_image(small[n % count]), frames),
        "decode outputs": cpu_ms(lambda n: head.decode(outputs, geometry), frames),
    }
    found["quantise"] = max(cpu_ms(lambda n: table.from_image(small[n % count]), frames) - found["resize"], 0)
    model.engine.close()
    return {**found, **shown(size, films, frames)}


def scene(size: tuple[int, int], films: list[bytes], boxes: int = 8) -> list[Packet]:
    """Packets with objects and a status line that changes."""
    rng = np.random.default_rng(1)
    out = []
    for number, data in enumerate(films):
        corner = rng.uniform(0, 0.7, (boxes, 2))
        xyxy = np.concatenate([corner, corner + rng.uniform(0.05, 0.3, (boxes, 2))], axis=1) * [*size, *size]
        found = Detections(
            xyxy.astype(np.float32),
            rng.uniform(0.4, 1, boxes).astype(np.float32),
            rng.integers(0, len(LABELS), boxes).astype(np.int32),
        )
        frame = Frame(number, jpeg=data, size=size, decode=mjpeg.decode)
        status = Status("running", camera_fps=30 + rng.normal(0, 0.1), inference_ms=12 + rng.normal(0, 1))
        out.append(Packet(frame, found, LABELS, status))
        assert frame.image is not None  # decoded: what drawing costs beyond that
    return out


def shown(size: tuple[int, int], films: list[bytes], frames: int) -> dict[str, float]:
    """What results and a viewer of drawn pictures cost, eight boxes."""
    packets, overlay = scene(size, films), Overlay()
    drawn = [overlay.draw(packet) for packet in packets]
    count = len(packets)
    return {
        "result as JSON": cpu_ms(lambda n: json.dumps(packets[n % count].record()), frames),
        "overlay": cpu_ms(lambda n: overlay.draw(packets[n % count]), frames),
        "encode": cpu_ms(lambda n: jpeg.encode(drawn[n % count]), frames),
    }


def command(source: str, seconds: float) -> dict[str, float]:
    """CPU milliseconds a frame of the whole command without a network, and its rate."""
    run = Run.start(source, *FLAGS, page=False)
    try:
        time.sleep(1)
        before, cpu, at = len(run.rows), run.cpu(), time.monotonic()
        time.sleep(seconds)
        frames, lasted = len(run.rows) - before, time.monotonic() - at
        return {"cpu_ms": (run.cpu() - cpu) / max(frames, 1) * 1000, "fps": frames / lasted}
    finally:
        run.stop()


def measure(frames: int, seconds: float) -> dict[str, Any]:
    found = {}
    for size in SIZES:
        films = photographs(size, PICTURES)
        with tempfile.TemporaryDirectory() as folder, Camera(films, 30) as camera:
            film = Path(folder) / "film.mjpeg"
            film.write_bytes(b"".join(films) * REPEATS)
            found[f"{size[0]}x{size[1]}"] = {
                "stages": stages(size, films, frames),
                "file": command(f"video:{film}?loop=yes", seconds),
                "live": command(camera.url, seconds),
            }
        print(size, file=sys.stderr, flush=True)
    return {"sizes": found}


def table(figures: dict[str, Any]) -> str:
    columns = ["CPU ms a frame", *figures["sizes"]]
    rows = [
        [stage, *(f"{found['stages'][stage]:.2f}" for found in figures["sizes"].values())]
        for stage in ("decode whole", *ALWAYS, *VIEWERS)
    ]
    for name, words in (("file", "**the whole command, from a file**"), ("live", "**the whole, live 30/s**")):
        rows.append([words, *(f"**{found[name]['cpu_ms']:.2f}**" for found in figures["sizes"].values())])
    return report.markdown(columns, rows)


def draw(figures: dict[str, Any]) -> str:
    groups: dict[str, dict[str, float]] = {}
    for size, found in figures["sizes"].items():
        named = {stage: found["stages"][stage] for stage in ALWAYS}
        rest = found["file"]["cpu_ms"] - sum(named.values())
        groups[f"{size}, nobody watches"] = {**named, "threads, loop, reading": max(rest, 0.0)}
        groups[f"{size}, a drawn picture"] = {stage: found["stages"][stage] for stage in VIEWERS}
    return plot.bars("CPU a frame outside the network", groups, "ms", target=2.2, stacked=True)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--frames", type=int, default=200, help="of each stage")
    parser.add_argument("--seconds", type=float, default=6, help="of each run of the command")
    options = parser.parse_args()
    report.run("cost", options, lambda: measure(options.frames, options.seconds), table, draw)


if __name__ == "__main__":
    main()
