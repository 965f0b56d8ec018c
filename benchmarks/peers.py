"""edgecam beside what people would use instead: same model, same pictures, same machine, one after another.

    python benchmarks/peers.py [--seconds 15] [--rounds 3] [--json FILE]
        [--mediapipe .venv-mediapipe/bin/python] [--onnx PYTHON MODEL.onnx]

Model: MobileNetV2 1.0 224 quant. Two tasks: a 1280x720 Motion JPEG file as fast as it comes (frames a second,
CPU a frame), and a live MJPEG camera over HTTP at 30 frames a second (age of the picture when its result is
there: the pictures carry their number, and the camera notes when each was sent; memory; seconds to the first
result). Each peer is a script in ``benchmarks/peers``; it runs with two threads, as edgecam does here.

ONNX Runtime needs a Python that has it and the model, converted by
``python -m tf2onnx.convert --tflite FILE --output FILE.onnx --opset 18``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from process import cpu, memory

from edgecam import jpeg
from edgecam.registry import source_uri
from edgecam.sources.synthetic import SyntheticSource

HERE = Path(__file__).resolve().parent
REAL = HERE.parents[1] / "shared" / "real"
MODEL = REAL / "mobilenet_v2_1.0_224_quant.tflite"
EDGECAM = Path(sys.executable).with_name("edgecam")
FPS, PICTURES = 30, 300


def pictures() -> list[bytes]:
    scene = SyntheticSource(source_uri("synthetic:?size=1280x720"))
    return [jpeg.encode(scene.render(number), 85) for number in range(PICTURES)]


def serve(made: list[bytes], port: Any, sent: Any) -> None:
    """A camera at a steady rate for one viewer at a time, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.value = server.getsockname()[1]
        while True:
            with server.accept()[0] as viewer:
                try:
                    _stream(viewer, made, sent)
                except OSError:
                    continue


def _stream(viewer: socket.socket, made: list[bytes], sent: Any) -> None:
    viewer.recv(65536)
    viewer.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
    due = time.monotonic()
    number = 0
    while True:
        data = made[number % PICTURES]
        sent[number % PICTURES] = time.monotonic()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        viewer.sendall(head.encode() + data + b"\r\n")
        number += 1
        due += 1 / FPS
        time.sleep(max(0.0, due - time.monotonic()))


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


def watch(peer: Peer, source: str, seconds: float, sent: Any = None) -> dict[str, float] | str:
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
            if sent is not None and len(results.rows) > at + len(ages):
                number, when = results.rows[at + len(ages)]
                ages.append((when - sent[number % PICTURES]) * 1000)
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
    made = pictures()
    port, sent = multiprocessing.Value("i", 0), multiprocessing.Array("d", PICTURES)
    camera = multiprocessing.Process(target=serve, args=(made, port, sent), daemon=True)
    camera.start()
    rounds: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mjpeg"
        film.write_bytes(b"".join(made) * 20)
        while not port.value:
            time.sleep(0.01)
        for _ in range(options.rounds):
            for peer in peers(options):
                fast = watch(peer, str(film), options.seconds)
                live = (
                    fast
                    if isinstance(fast, str)
                    else watch(peer, f"http://127.0.0.1:{port.value}/cam.mjpg", options.seconds, sent)
                )
                rounds.setdefault(peer.name, []).append((fast, live))
    return rounds


def table(rounds: dict[str, Any]) -> str:
    """Medians over the rounds."""
    columns = "frames/s, file", "CPU ms", "MB", "first result s", "age ms live, p50", "p99", "CPU ms, live"
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for name, pairs in rounds.items():
        if isinstance(pairs[0][0], str) or isinstance(pairs[0][1], str):
            lines.append(f"| {name} | {next(x for x in pairs[0] if isinstance(x, str))} |")
            continue

        def middle(task: int, key: str, digits: int, pairs: Any = pairs) -> str:
            return f"{statistics.median(pair[task][key] for pair in pairs):.{digits}f}"

        cells = [
            middle(0, "fps", 0),
            middle(0, "cpu_ms", 1),
            middle(1, "memory_mb", 0),
            middle(1, "first_s", 2),
        ]
        cells += [middle(1, "age_p50_ms", 1), middle(1, "age_p99_ms", 1), middle(1, "cpu_ms", 1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mediapipe", type=Path, default=Path(".venv-mediapipe/bin/python"))
    parser.add_argument("--onnx", nargs=2, metavar=("PYTHON", "MODEL"))
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    rounds = compare(options)
    print(table(rounds))
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=2) + "\n")


if __name__ == "__main__":
    main()
