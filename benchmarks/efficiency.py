"""How near the whole of `edgecam run` comes to its slowest stage.

    python benchmarks/efficiency.py [--seconds 8] [--rounds 3] [--threads N] [--viewer none|relayed|drawn]
        [--json FILE]

For each model, in each round: `invoke()` alone in a loop, decoding alone (each JPEG as far as the model
needs it), and the real command on a 1280x720 Motion JPEG film, as fast as it comes, results to a file.
Efficiency is the command's rate over the smaller of the two others, taken in the same round with the same
threads; the median of the rounds is told. The ceiling is what the cores can give at most: a frame takes the
processor time of both, and with as many threads as cores `invoke()` alone leaves no core for decoding.
Instructions a frame are counted by `perf stat` where the machine has counters.

With ``--viewer relayed`` a viewer reads the camera's own JPEG and the results that a browser draws over it;
with ``drawn`` it reads pictures drawn and encoded here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from process import cpu

from edgecam import build, jpeg, mjpeg
from edgecam.config import Settings
from edgecam.registry import source_uri
from edgecam.sources.demo import DemoSource
from edgecam.types import Frame

EDGECAM = Path(sys.executable).with_name("edgecam")
SIZE = (1280, 720)
PICTURES = 600
CORES = len(os.sched_getaffinity(0))
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
MODELS = {
    "mobilenet-v1-0.25-128": (str(REAL / "mobilenet_v1_0.25_128_quant.tflite"), 0.85),
    "mobilenet-v2-224": (str(REAL / "mobilenet_v2_1.0_224_quant.tflite"), 0.95),
    "detect-coco": ("detect-coco", 0.95),
    "classify-person": ("classify-person", 0.95),
}
FOREIGN: dict[str, Any] = {"labels": str(REAL / "imagenet_labels.txt"), "decoder": "classify"}
FLAGS = [f"--{name}={value}" for name, value in FOREIGN.items()]
COLUMNS = (
    "model",
    "invoke/s",
    "decode/s",
    "whole/s",
    "efficiency",
    "ceiling",
    "all rounds",
    "CPU ms",
    "Minstr",
    "shown/s",
)
PATHS = {"relayed": "/live", "drawn": "/stream.mjpg"}


@dataclass(frozen=True)
class Round:
    """Rates a second.

    Attributes:
        invoke: the interpreter alone.
        decode: the decoder alone.
        bare_ms: CPU milliseconds a frame of both.
        whole: the command.
        shown: pictures that the viewer got.
        cpu_ms: CPU milliseconds a frame of the command, all threads.
    """

    invoke: float
    decode: float
    bare_ms: float
    whole: float
    shown: float
    cpu_ms: float

    @property
    def efficiency(self) -> float:
        return self.whole / min(self.invoke, self.decode)

    @property
    def ceiling(self) -> float:
        return min(1.0, CORES * 1000 / self.bare_ms / min(self.invoke, self.decode))


def pictures() -> list[bytes]:
    """The demo scene as a camera's JPEG."""
    scene = DemoSource(source_uri(f"demo:?size={SIZE[0]}x{SIZE[1]}&frames={PICTURES}"))
    scene.open()
    made = [jpeg.encode(frame.image, quality=85) for frame in iter(scene.read, None)]
    scene.close()
    return made


def rate(work: Any, seconds: float) -> tuple[float, float]:
    """How often a second ``work(n)`` can be done, and the CPU milliseconds of one."""
    for number in range(5):
        work(number)
    began, used, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        work(done)
        done += 1
    return done / (time.perf_counter() - began), 1000 * (time.process_time() - used) / done


def bare(model: str, threads: int, seconds: float, films: list[bytes]) -> tuple[float, float, float]:
    """(invoke, decode) alone, in this process, and the CPU milliseconds of both."""
    loaded = build.load_model(replace(settings(model), threads=threads))
    frame = Frame(0, jpeg=films[0], size=SIZE, decode=mjpeg.decode)
    tensor, _ = loaded.preprocessor(frame)
    tensor = tensor.copy()
    invoke = rate(lambda n: loaded.engine.infer(tensor), seconds)
    height, width = loaded.engine.input.shape[1:3]
    decode = rate(lambda n: mjpeg.decode(films[n % len(films)], width, height), seconds)
    loaded.engine.close()
    return invoke[0], decode[0], invoke[1] + decode[1]


def settings(model: str) -> Settings:
    """Foreign classifiers need to be told what they are."""
    foreign = model.endswith("quant.tflite")
    return Settings(model=model, **FOREIGN if foreign else {})


def whole(model: str, threads: int, seconds: float, film: Path, viewer: str) -> tuple[float, float, float]:
    """(results a second, pictures a second that the viewer got, CPU milliseconds a frame)."""
    command = [
        EDGECAM,
        "run",
        f"video:{film}?loop=yes",
        "--model",
        model,
        f"--threads={threads}",
        "--sink",
        f"jsonl:{film.parent}/out.jsonl?overwrite=yes",
    ]
    if model.endswith("quant.tflite"):
        command += FLAGS
    if viewer != "none":
        command += ["--sink", "web:?port=0"]
    results = film.parent / "out.jsonl"
    results.unlink(missing_ok=True)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    stop, counted = threading.Event(), [0]
    if viewer != "none":
        page = next(line for line in process.stderr if "page: " in line).split()[-1].rstrip("/")
        threading.Thread(target=_view, args=(page + PATHS[viewer], stop, counted), daemon=True).start()
    while not results.exists() or not results.stat().st_size:
        time.sleep(0.05)
    time.sleep(1.5)  # weights are repacked and caches filled
    before = results.read_bytes().count(b"\n"), counted[0], cpu(process.pid), time.perf_counter()
    time.sleep(seconds)
    after = results.read_bytes().count(b"\n"), counted[0], cpu(process.pid), time.perf_counter()
    stop.set()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    lasted, frames = after[3] - before[3], after[0] - before[0]
    return frames / lasted, (after[1] - before[1]) / lasted, (after[2] - before[2]) / max(frames, 1) * 1000


def _view(url: str, stop: threading.Event, counted: list[int]) -> None:
    with urllib.request.urlopen(url, timeout=20) as answer:
        while not stop.is_set():
            counted[0] += answer.read1(1 << 18).count(b"Content-Type: image/jpeg")


def instructions(model: str, film: Path, frames: int) -> float | None:
    """Millions of instructions a frame by `perf stat`: the difference of a long and a short run, so that
    start-up does not count; None where they cannot be counted."""
    if shutil.which("perf") is None:
        return None
    counts = []
    for number in (frames, 4 * frames):
        command = [
            "perf",
            "stat",
            "-x,",
            "-e",
            "instructions:u",
            EDGECAM,
            "run",
            f"video:{film}?loop=yes",
            "--model",
            model,
        ]
        command += FLAGS if model.endswith("quant.tflite") else []
        done = subprocess.run(
            [*map(str, command), "--max-frames", str(number), "--sink", "jsonl:/dev/null"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
        if found is None:
            return None
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / (3 * frames) / 1e6


def row(name: str, rounds: list[Round], counted: float | None) -> str:
    """A line of the table."""

    def middle(field: str, digits: int = 0) -> str:
        return f"{statistics.median(getattr(r, field) for r in rounds):.{digits}f}"

    cells = [name, middle("invoke"), middle("decode"), middle("whole"), f"**{middle('efficiency', 2)}**"]
    cells += [middle("ceiling", 2)]
    cells += [" ".join(f"{r.efficiency:.2f}" for r in rounds), middle("cpu_ms", 1)]
    cells += ["" if counted is None else f"{counted:.1f}", middle("shown")]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--threads", type=int, default=CORES, help="of the interpreter; one a core if not given"
    )
    parser.add_argument("--viewer", choices=["none", *PATHS], default="none")
    parser.add_argument(
        "--models",
        nargs="*",
        default=[name for name, (path, _) in MODELS.items() if name == path or Path(path).exists()],
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    films = pictures()
    figures: dict[str, Any] = {}
    print(
        f"{options.threads} threads on {CORES} cores, viewer: {options.viewer}; 1280x720 Motion JPEG, "
        f"{options.rounds} rounds of {options.seconds:g} s, load {os.getloadavg()[0]:.1f}"
    )
    print(f"| {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * (len(COLUMNS) - 1)}")
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.avi"
        command = ["ffmpeg", "-v", "error", "-f", "mjpeg", "-r", "30", "-i", "-", "-c", "copy", str(film)]
        subprocess.run(command, input=b"".join(films), check=True)
        for name in options.models:
            model = MODELS[name][0]
            rounds = [
                Round(
                    *bare(model, options.threads, options.seconds / 2, films),
                    *whole(model, options.threads, options.seconds, film, options.viewer),
                )
                for _ in range(options.rounds)
            ]
            counted = instructions(model, film, 60) if options.viewer == "none" else None
            figures[name] = {"rounds": [asdict(r) for r in rounds], "minstructions": counted}
            print(row(name, rounds, counted), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
