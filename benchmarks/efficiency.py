"""How near the whole of `edgecam run` comes to its slowest stage.

    python benchmarks/efficiency.py [--seconds 8] [--rounds 3] [--threads 1 2] [--viewers none relayed drawn]
        [--models NAME...] [--out FOLDER]

For each model, in each round: `invoke()` alone in a loop, decoding alone (each JPEG as far as the model
needs it), and the real command on a 1280x720 Motion JPEG film, as fast as it comes, results to a file.
Efficiency is the command's rate over the smaller of the two others, taken in the same round with the same
threads; the median of the rounds is told. The ceiling is what the cores can give at most: a frame takes the
processor time of both, and with as many threads as cores `invoke()` alone leaves no core for decoding.

With the viewer ``relayed`` a viewer reads the camera's own JPEG and the results that a browser draws over it;
with ``drawn`` it reads pictures drawn and encoded here.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import plot
import report
from camera import photographs
from process import cpu

from edgecam import build, mjpeg
from edgecam.config import Settings
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
COLUMNS = ("model", "threads", "viewer", "invoke/s", "decode/s", "whole/s", "efficiency", "ceiling")
COLUMNS += ("all rounds", "CPU ms, bare", "CPU ms, whole", "shown/s")
PATHS = {"relayed": "/live", "drawn": "/stream.mjpg"}
WORDS = {"none": "nobody watches", "relayed": "a viewer, relayed", "drawn": "a viewer, drawn"}


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


def once(name: str, threads: int, viewer: str, film: Path, films: list[bytes], seconds: float) -> Round:
    model = MODELS[name][0]
    return Round(
        *bare(model, threads, seconds / 2, films),
        *whole(model, threads, seconds, film, viewer),
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    films = photographs(SIZE, PICTURES)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.avi"
        command = ["ffmpeg", "-v", "error", "-f", "mjpeg", "-r", "30", "-i", "-", "-c", "copy", str(film)]
        subprocess.run(command, input=b"".join(films), check=True)
        for threads, viewer, name in product(options.threads, options.viewers, options.models):
            rounds = [
                once(name, threads, viewer, film, films, options.seconds) for _ in range(options.rounds)
            ]
            case = {"model": name, "threads": threads, "viewer": viewer}
            found.append({**case, "rounds": [asdict(r) for r in rounds]})
            print(" ".join(row(found[-1])), file=sys.stderr, flush=True)
    return {"cases": found, "cores": CORES, "seconds": options.seconds}


def row(case: dict[str, Any]) -> list[str]:
    """A line of the table."""
    rounds = [Round(**r) for r in case["rounds"]]

    def middle(field: str, digits: int = 0) -> str:
        return f"{statistics.median(getattr(r, field) for r in rounds):.{digits}f}"

    cells = [middle(field) for field in ("invoke", "decode", "whole")]
    cells += [f"**{middle('efficiency', 2)}**", middle("ceiling", 2)]
    cells += [" ".join(f"{r.efficiency:.2f}" for r in rounds), middle("bare_ms", 1), middle("cpu_ms", 1)]
    return [case["model"], str(case["threads"]), case["viewer"], *cells, middle("shown")]


def table(figures: dict[str, Any]) -> str:
    return report.markdown(COLUMNS, [row(case) for case in figures["cases"]])


def draw(figures: dict[str, Any]) -> str:
    groups: dict[str, dict[str, float]] = {}
    for case in figures["cases"]:
        rounds = [Round(**r) for r in case["rounds"]]
        several = "s" if case["threads"] > 1 else ""
        group = groups.setdefault(f"{case['model']}, {case['threads']} thread{several}", {})
        group.setdefault("what the cores give", statistics.median(r.ceiling for r in rounds))
        group[WORDS[case["viewer"]]] = statistics.median(r.efficiency for r in rounds)
    return plot.bars("Rate of the whole over its slowest stage alone", groups, target=0.95)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", nargs="*", type=int, default=[CORES], help="of the interpreter")
    parser.add_argument("--viewers", nargs="*", choices=["none", *PATHS], default=["none", *PATHS])
    parser.add_argument(
        "--models",
        nargs="*",
        default=[name for name, (path, _) in MODELS.items() if name == path or Path(path).exists()],
    )
    options = parser.parse_args()
    report.run("efficiency", options, lambda: measure(options), table, draw)


if __name__ == "__main__":
    main()
