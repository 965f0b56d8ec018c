"""What the main job costs: start-up, age of the picture, drops, CPU a frame, memory.

    python benchmarks/main_job.py [--seconds 20] [--soak 600] [--json FILE]

Runs the real command, `edgecam run`, as a user would: the bundled detector on a live 1280x720 MJPEG camera at
30 frames a second, first without viewers, then with one viewer of the page's stream, on the same process. The
camera is served over HTTP by this process from pictures of the demo scene, encoded beforehand, so that making
them costs the measured process nothing. CPU is the process's own (user + system) from /proc: every thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import process

from edgecam import jpeg
from edgecam.registry import source_uri
from edgecam.sources.demo import DemoSource

EDGECAM = Path(sys.executable).with_name("edgecam")
FPS = 30
INTERVAL_MS = 1000 / FPS


class Camera(ThreadingHTTPServer):
    """An MJPEG camera at ``http://127.0.0.1:PORT/``: the demo scene, encoded beforehand, at a steady rate."""

    daemon_threads = True

    def __init__(self, count: int = 240) -> None:
        super().__init__(("127.0.0.1", 0), _CameraHandler)
        scene = DemoSource(source_uri(f"demo:?size=1280x720&fps={FPS}&frames={count}"))
        scene.open()
        frames = iter(scene.read, None)
        self.pictures = [jpeg.encode(frame.image, quality=85) for frame in frames if frame is not None]
        scene.close()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _CameraHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Camera)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        due = time.monotonic()
        try:
            for picture in itertools.cycle(self.server.pictures):
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
                due += 1 / FPS
                time.sleep(max(0.0, due - time.monotonic()))
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Run:
    """One `edgecam run` under watch."""

    process: subprocess.Popen[str]
    began: float
    first: float = 0.0
    url: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, source: str) -> Run:
        began = time.monotonic()
        started = subprocess.Popen(
            [EDGECAM, "run", source, "--sink", "web:?port=0", "--sink", "jsonl:-"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        run = cls(started, began)
        for target in (run._read_results, run._read_messages):
            threading.Thread(target=target, daemon=True).start()
        while not (run.first and run.url):
            if started.poll() is not None:
                raise SystemExit(f"edgecam ended with {started.returncode}")
            time.sleep(0.005)
        return run

    def _read_results(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.first = self.first or time.monotonic() - self.began
            self.rows.append(json.loads(line))

    def _read_messages(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"http://\S+", line)
            self.url = self.url or (found[0].rstrip("/") if found else "")

    def cpu(self) -> float:
        """CPU seconds used so far, all threads."""
        return process.cpu(self.process.pid)

    def memory(self) -> float:
        """Resident MB."""
        return process.memory(self.process.pid)

    def stop(self) -> float:
        """SIGTERM; seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - began


def watch(url: str, stop: threading.Event, counted: list[int]) -> None:
    """A viewer of the stream that reads and throws away."""
    with urllib.request.urlopen(f"{url}/stream.mjpg", timeout=10) as answer:
        while not stop.is_set():
            chunk = answer.read1(65536)
            counted[0] += chunk.count(b"Content-Type: image/jpeg")
            counted[1] += len(chunk)


def measure(run: Run, seconds: float) -> dict[str, float]:
    """CPU a frame, ages and drops over ``seconds``."""
    before, cpu = len(run.rows), run.cpu()
    time.sleep(seconds)
    used, rows = run.cpu() - cpu, run.rows[before:]
    taken = sorted(row["ms"]["taken"] for row in rows)
    gaps = [b["seq"] - a["seq"] - 1 for a, b in itertools.pairwise(rows)]
    result = {
        "results_per_s": len(rows) / seconds,
        "dropped": float(sum(gaps)),
        "age_at_inference_p50_ms": statistics.median(taken),
        "age_at_inference_p99_ms": taken[int(len(taken) * 0.99)],
        "age_at_inference_max_ms": taken[-1],
        "older_than_one_interval": float(sum(t > INTERVAL_MS for t in taken)),
        "cpu_ms_per_frame": used / len(rows) * 1000,
    }
    for a, b in (("taken", "preprocessed"), ("preprocessed", "inferred"), ("inferred", "decoded")):
        result[f"{b}_p50_ms"] = statistics.median(r["ms"][b] - r["ms"][a] for r in rows)
    return result


def help_seconds(times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run([EDGECAM, "--help"], capture_output=True, check=True)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def soak(source: str, seconds: float) -> dict[str, float]:
    """Resident memory at the start and over ``seconds`` with one viewer."""
    run, stop, counted = Run.start(source), threading.Event(), [0, 0]
    threading.Thread(target=watch, args=(run.url, stop, counted), daemon=True).start()
    samples = []
    for _ in range(max(2, int(seconds // 5))):
        time.sleep(5)
        samples.append(run.memory())
    stop.set()
    run.stop()
    tenth = max(1, len(samples) // 10)
    return {
        "seconds": seconds,
        "rss_mb_first_tenth": statistics.mean(samples[:tenth]),
        "rss_mb_last_tenth": statistics.mean(samples[-tenth:]),
        "rss_mb_max": max(samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--soak", type=float, default=0, help="seconds of the memory run, 0 for none")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    camera = Camera()
    figures: dict[str, Any] = {"help_s": help_seconds()}
    run = Run.start(camera.url)
    figures["first_result_s"] = run.first
    time.sleep(3)
    figures["without_viewers"] = measure(run, options.seconds)
    stop, counted = threading.Event(), [0, 0]
    viewer = threading.Thread(target=watch, args=(run.url, stop, counted), daemon=True)
    viewer.start()
    time.sleep(2)
    sent = counted[0]
    figures["one_viewer"] = measure(run, options.seconds)
    figures["one_viewer"]["pictures_per_s"] = (counted[0] - sent) / options.seconds
    stop.set()
    figures["stop_s"] = run.stop()
    both = figures["one_viewer"]["cpu_ms_per_frame"], figures["without_viewers"]["cpu_ms_per_frame"]
    figures["viewer_cpu_ms_per_frame"] = both[0] - both[1]
    if options.soak:
        figures["soak"] = soak(camera.url, options.soak)
    for name, value in figures.items():
        if isinstance(value, dict):
            print(name)
            for key, number in value.items():
                print(f"  {key:28s} {number:10.2f}")
        else:
            print(f"{name:30s} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
