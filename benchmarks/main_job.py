"""What the main job costs: start-up, age of the picture, drops, CPU a frame, memory.

    python benchmarks/main_job.py [--seconds 20] [--soak 600] [--out FOLDER]

Runs the real command, `edgecam run`, as a user would: the bundled detector on a live 1280x720 MJPEG camera
at 30 frames a second, first without viewers, then with one viewer of the page's stream, on the same
process. The camera is served over HTTP by a process of its own from pictures of the demo scene, encoded
beforehand. CPU is the process's own (user + system) from /proc: every thread.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import threading
import time
import urllib.request
from typing import Any

import report
from camera import Camera, photographs
from watched import EDGECAM, Run

FPS = 30
INTERVAL_MS = 1000 / FPS


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


def all_figures(seconds: float, soaking: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"help_s": help_seconds()}
    with Camera(photographs(count=240), FPS) as camera:
        run = Run.start(camera.url)
        figures["first_result_s"] = run.first
        time.sleep(3)
        figures["without_viewers"] = measure(run, seconds)
        stop, counted = threading.Event(), [0, 0]
        viewer = threading.Thread(target=watch, args=(run.url, stop, counted), daemon=True)
        viewer.start()
        time.sleep(2)
        sent = counted[0]
        figures["one_viewer"] = measure(run, seconds)
        figures["one_viewer"]["pictures_per_s"] = (counted[0] - sent) / seconds
        stop.set()
        figures["stop_s"] = run.stop()
        both = figures["one_viewer"]["cpu_ms_per_frame"], figures["without_viewers"]["cpu_ms_per_frame"]
        figures["viewer_cpu_ms_per_frame"] = both[0] - both[1]
        if soaking:
            figures["soak"] = soak(camera.url, soaking)
    return figures


def table(figures: dict[str, Any]) -> str:
    rows = []
    for name, value in figures.items():
        if name in ("without_viewers", "one_viewer", "soak"):
            rows += [[f"{name}: {key}", f"{number:.2f}"] for key, number in value.items()]
        elif isinstance(value, float):
            rows.append([name, f"{value:.2f}"])
    return report.markdown(["figure", "seen"], rows)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--soak", type=float, default=0, help="seconds of the memory run, 0 for none")
    options = parser.parse_args()
    report.run("main_job", options, lambda: all_figures(options.seconds, options.soak), table)


if __name__ == "__main__":
    main()
