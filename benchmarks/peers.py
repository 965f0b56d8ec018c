"""edgecam beside what people would use instead: same model, same pictures, same machine, one after another.

    python benchmarks/peers.py [--seconds 15] [--rounds 3] [--out FOLDER]
        [--mediapipe .venv-mediapipe/bin/python] [--onnx PYTHON MODEL.onnx]

Model: MobileNetV2 1.0 224 quant. Three tasks: a 1280x720 Motion JPEG file as fast as it comes (frames a
second, CPU a frame), and a live MJPEG camera over HTTP at 30 frames a second (age of the picture when its
result is there: the pictures carry their number, and the camera notes when each was sent; memory; seconds
to the first result), and the same with a camera that sends 90 a second, more than the model can take. Each
peer is a script in ``benchmarks/peers``; it runs with two threads, as edgecam does here.

ONNX Runtime needs a Python that has it and the model, converted by
``python -m tf2onnx.convert --tflite FILE --output FILE.onnx --opset 18``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plot
import report
from camera import Camera, numbered
from process import cpu, memory

HERE = Path(__file__).resolve().parent
REAL = HERE.parents[1] / "shared" / "real"
MODEL = REAL / "mobilenet_v2_1.0_224_quant.tflite"
EDGECAM = Path(sys.executable).with_name("edgecam")
FPS, TOO_FAST = 30, 90
PICTURES = 450  # as many as may be on their way, or the age of one could not be told


@dataclass(frozen=True)
class Peer:
    """Something that recognises: ``command(source)`` prints a line for each result."""

    name: str
    command: list[str]

    def on(self, source: str) -> list[str]:
        return [part if part != "SOURCE" else source for part in self.command]


def peers(options: argparse.Namespace) -> list[Peer]:
    straight = [sys.executable, str(HERE / "peers/straight.py")]
    flags = ["--labels", str(REAL / "imagenet_labels.txt"), "--decoder", "classify", "--threads", "2"]
    run = [str(EDGECAM), "run", "SOURCE", "--model", str(MODEL), *flags, "--sink", "jsonl:-"]
    found = [
        Peer("edgecam", run),
        Peer("the straight loop", [*straight, "tflite", "SOURCE", str(MODEL)]),
        Peer("OpenCV DNN", [*straight, "opencv", "SOURCE", str(MODEL)]),
    ]
    if Path("/usr/lib/python3/dist-packages/gi").exists() or importlib.util.find_spec("gi"):
        command = [sys.executable, str(HERE / "peers/gstreamer.py"), "SOURCE", str(MODEL)]
        found.append(Peer("GStreamer", command))
    if options.mediapipe.exists():
        command = [str(options.mediapipe), str(HERE / "peers/tasks.py"), "SOURCE", str(MODEL)]
        found.append(Peer("MediaPipe Tasks", command))
    if options.onnx:
        python, model = options.onnx
        command = [python, str(HERE / "peers/straight.py"), "onnx", "SOURCE", model]
        found.append(Peer("ONNX Runtime", command))
    return found


@dataclass
class Results:
    """What a run printed: (number of the frame, monotonic seconds)."""

    began: float
    rows: list[tuple[int, float]]

    def read(self, stream: Any) -> None:
        for line in stream:
            now = time.monotonic()
            if line.startswith("{"):
                self.rows.append((json.loads(line)["seq"], now))
            elif line[:1].isdigit():
                self.rows.append((int(line.split()[0]), now))


def watch(peer: Peer, source: str, seconds: float, camera: Camera | None = None) -> dict[str, float] | str:
    """Run a peer for a while. Its first second after the first result does not count."""
    results = Results(time.monotonic(), [])
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            peer.on(source),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "GLOG_minloglevel": "2"},
        )
        threading.Thread(target=results.read, args=(process.stdout,), daemon=True).start()
        while not results.rows:
            if process.poll() is not None:
                errors.seek(0)
                return errors.read().strip().splitlines()[-1][:150]
            time.sleep(0.005)
        first = results.rows[0][1] - results.began
        time.sleep(1)
        at, before = len(results.rows), cpu(process.pid)
        ages: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.002)
            if camera is not None and len(results.rows) > at + len(ages):
                number, when = results.rows[at + len(ages)]
                ages.append((when - camera.sent(number)) * 1000)
        used, resident = cpu(process.pid) - before, memory(process.pid)
        rows = results.rows[at:]
        process.kill()
        process.wait()
    figures = {
        "fps": (len(rows) - 1) / (rows[-1][1] - rows[0][1]),
        "cpu_ms": used / len(rows) * 1000,
        "memory_mb": resident,
        "first_s": first,
    }
    if ages:
        ages.sort()
        figures |= {"age_p50_ms": ages[len(ages) // 2], "age_p99_ms": ages[int(len(ages) * 0.99)]}
    return figures


def compare(options: argparse.Namespace) -> dict[str, Any]:
    made = numbered(count=PICTURES)
    rounds: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as folder, Camera(made, FPS) as camera, Camera(made, TOO_FAST) as fast:
        film = Path(folder) / "film.mjpeg"
        film.write_bytes(b"".join(made) * 13)
        for _ in range(options.rounds):
            for peer in peers(options):
                tasks: list[Any] = [watch(peer, str(film), options.seconds)]
                if not isinstance(tasks[0], str):
                    tasks += [watch(peer, c.url, options.seconds, c) for c in (camera, fast)]
                rounds.setdefault(peer.name, []).append(tasks)
                print(peer.name, tasks, file=sys.stderr, flush=True)
    return {"peers": rounds, "seconds": options.seconds}


#: (task, key) -> (words, digits); of the tasks 0 is the file, 1 the live camera, 2 one that is too fast.
FIGURES = {
    (0, "fps"): ("frames/s, file", 0),
    (0, "cpu_ms"): ("CPU ms, file", 1),
    (1, "age_p50_ms"): ("age ms live, p50", 1),
    (1, "age_p99_ms"): ("p99", 1),
    (2, "age_p50_ms"): ("age ms, camera of 90/s", 0),
    (1, "cpu_ms"): ("CPU ms, live", 1),
    (1, "memory_mb"): ("MB", 0),
    (1, "first_s"): ("first result s", 2),
}


def middle(rounds: Any, task: int, key: str) -> float | None:
    """The median over the rounds, None where it was not taken."""
    found = [tasks[task][key] for tasks in rounds if key in tasks[task]]
    return float(statistics.median(found)) if found else None


def works(pairs: Any) -> bool:
    return not any(isinstance(found, str) for pair in pairs for found in pair)


def table(figures: dict[str, Any]) -> str:
    """Medians over the rounds."""
    rows = []
    for name, pairs in figures["peers"].items():
        if works(pairs):
            found = [(middle(pairs, *key), digits) for key, (_, digits) in FIGURES.items()]
            cells = ["" if value is None else f"{value:.{digits}f}" for value, digits in found]
        else:
            cells = [next(found for pair in pairs for found in pair if isinstance(found, str))]
        rows.append([name, *cells])
    return report.markdown(["", *(words for words, _ in FIGURES.values())], rows)


def draw(figures: dict[str, Any]) -> str:
    shown = {name: pairs for name, pairs in figures["peers"].items() if works(pairs)}
    wanted = {
        (0, "fps"): "Frames a second from a 1280x720 file, MobileNetV2 int8, two threads",
        (1, "age_p50_ms"): "Age of a live picture when its result is there, ms",
        (2, "age_p50_ms"): "The same with a camera that is faster than the model (90 a second), ms",
        (1, "memory_mb"): "Memory, MB",
        (1, "first_s"): "From the command to the first result, s",
    }
    plots = []
    for key, title in wanted.items():
        values = {name: middle(pairs, *key) for name, pairs in shown.items()}
        groups = {name: {"": value} for name, value in values.items() if value is not None}
        plots.append(plot.bars(title, groups, digits=FIGURES[key][1]))
    return plot.beside(*plots)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mediapipe", type=Path, default=Path(".venv-mediapipe/bin/python"))
    parser.add_argument("--onnx", nargs=2, metavar=("PYTHON", "MODEL"))
    options = parser.parse_args()
    report.run("peers", options, lambda: compare(options), table, draw)


if __name__ == "__main__":
    main()
