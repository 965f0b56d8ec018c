"""More cameras, more viewers, more boxes: what grows and what does not.

    python benchmarks/scaling.py [cameras] [viewers] [boxes] [--seconds 6] [--out FOLDER]

Cameras: 1, 2, 4 and 8 live 1280x720 Motion JPEG cameras at 30 pictures a second, the bundled detector, as
edgecam does it (a process a camera, as the instances of `edgecam@.service` are), with a thread a core in
each and with one thread in each; beside it two ways that edgecam has not: one process whose cameras take
turns on one interpreter, and one process with an interpreter and a thread a camera (`many.py`). Memory is
proportional: what processes share counts once.

Viewers: 1 to 200 of one page's stream, 640x480 at 30 a second, relayed and drawn, with the engine that does
nothing, so that what is seen is the page alone. They read in a process of its own on the same cores. Wanted:
one picture is encoded however many look, so the program's CPU stays near flat; handing N copies to the kernel
cannot, and stands beside it.

Boxes: what 1, 10 and 100 objects cost from the network's raw outputs to the drawn picture, CPU of one thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boxes
import numpy as np
import plot
import process
import report
from camera import Camera, photographs
from viewers import Viewers
from watched import Run

CAMERAS = (1, 2, 4, 8)
VIEWERS = (1, 10, 50, 100, 200)
BOXES = (1, 10, 100)
WAYS = {
    "a process each, a thread a core": [],
    "a process each, one thread": ["--threads", "1"],
    "one process, one interpreter": "one",
    "one process, an interpreter each": "each",
}
SIZE = (1280, 720)


class Child:
    """`many.py` under watch."""

    def __init__(self, way: str, urls: list[str]) -> None:
        script = str(Path(__file__).with_name("many.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, way, *urls], stdout=subprocess.PIPE, text=True
        )
        self.rows: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        while len({row["camera"] for row in self.rows}) < len(urls):
            if self.process.poll() is not None:
                raise SystemExit(f"many.py ended with {self.process.returncode}")
            time.sleep(0.01)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.rows.append(json.loads(line))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def cameras(made: list[bytes], count: int, way: Any, seconds: float) -> dict[str, float]:
    """One way with so many cameras."""
    with ExitStack() as stack:
        urls = [stack.enter_context(Camera(made, 30)).url for _ in range(count)]
        runs: list[Any]
        if isinstance(way, str):
            runs = [Child(way, urls)]
        else:
            runs = [Run.start(url, *way, page=False) for url in urls]
        for run in runs:
            stack.callback(run.stop)
        pids = [run.process.pid for run in runs]
        time.sleep(2)
        before = [len(run.rows) for run in runs]
        cpu, began = sum(map(process.cpu, pids)), time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - began
        rows = [row for run, at in zip(runs, before, strict=True) for row in run.rows[at:]]
        ages = report.percentiles([row["ms"]["taken"] for row in rows])
        return {
            "results_per_s": round(len(rows) / lasted, 1),
            "cores": round((sum(map(process.cpu, pids)) - cpu) / lasted, 2),
            "cpu_ms": round((sum(map(process.cpu, pids)) - cpu) / len(rows) * 1000, 1),
            "memory_mb": round(sum(map(process.share, pids))),
            "taken_p50_ms": ages["p50"],
            "taken_p99_ms": ages["p99"],
        }


def viewers(path: str, count: int, camera: Camera, seconds: float) -> dict[str, float]:
    """So many viewers of one stream."""
    run = Run.start(camera.url, "--engine", "fake", web=f"web:?port=0&connections={2 * max(VIEWERS) + 20}")
    try:
        if not count:
            return _page(run, None, seconds)
        with Viewers(run.url + path, count) as watching:
            deadline = time.monotonic() + 20
            while min(watching.counts()) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            return _page(run, watching, seconds)
    finally:
        run.stop()


def _page(run: Run, watching: Viewers | None, seconds: float) -> dict[str, float]:
    time.sleep(1)
    counts = watching.counts() if watching else []
    before, began, at = process.parts(run.process.pid), time.monotonic(), len(run.rows)
    time.sleep(seconds)
    lasted, after = time.monotonic() - began, process.parts(run.process.pid)
    got = [(b - a) / lasted for a, b in zip(counts, watching.counts() if watching else [], strict=True)]
    return {
        "program_cores": round((after[0] - before[0]) / lasted, 3),
        "kernel_cores": round((after[1] - before[1]) / lasted, 3),
        "results_per_s": round((len(run.rows) - at) / lasted, 1),
        "pictures_per_s": round(float(np.mean(got)), 1) if got else 0.0,
        "least_pictures_per_s": round(min(got), 1) if got else 0.0,
        "memory_mb": round(run.memory()),
        "us_a_viewers_picture": round(sum(b - a for a, b in zip(before, after, strict=True)) / sent * 1e6)
        if (sent := sum(got) * lasted)
        else 0,
    }


def measure(what: list[str], seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "cameras" in what:
        made = photographs(SIZE)
        found["cameras"] = {name: {} for name in WAYS}
        for count in CAMERAS:
            for name, way in WAYS.items():
                found["cameras"][name][count] = cameras(made, count, way, seconds)
                print(count, name, found["cameras"][name][count], file=sys.stderr, flush=True)
    if "viewers" in what:
        with Camera(photographs((640, 480)), 30) as camera:
            found["viewers"] = {"nobody": {0: viewers("", 0, camera, seconds)}}
            for name, path in (("relayed", "/live"), ("drawn", "/stream.mjpg")):
                found["viewers"][name] = {n: viewers(path, n, camera, seconds) for n in VIEWERS}
                print(name, found["viewers"][name], file=sys.stderr, flush=True)
    if "boxes" in what:
        films = photographs(SIZE, 30)
        found["boxes"] = {count: boxes.measure(count, films) for count in BOXES}
    return found


def table(figures: dict[str, Any]) -> str:
    parts = []
    if "cameras" in figures:
        columns = (
            "way",
            "cameras",
            "results/s",
            "CPU, cores",
            "CPU ms a result",
            "MB",
            "age taken p50 / p99 ms",
        )
        rows = [
            [
                name,
                f"{count}",
                f"{f['results_per_s']:.0f}",
                f"{f['cores']:.2f}",
                f"{f['cpu_ms']:.1f}",
                f"{f['memory_mb']:.0f}",
                f"{f['taken_p50_ms']:.1f} / {f['taken_p99_ms']:.1f}",
            ]
            for name, counts in figures["cameras"].items()
            for count, f in counts.items()
        ]
        parts.append(report.markdown(columns, rows))
    if "viewers" in figures:
        columns = ("stream", "viewers", "program, cores", "kernel, cores", "pictures/s", "least", "MB")
        keys = ("program_cores", "kernel_cores", "pictures_per_s", "least_pictures_per_s", "memory_mb")
        rows = [
            [name, f"{count}", *(f"{f[key]:.{0 if key == 'memory_mb' else 2}f}" for key in keys)]
            for name, counts in figures["viewers"].items()
            for count, f in counts.items()
        ]
        parts.append(report.markdown(columns, rows))
    if "boxes" in figures:
        stages = list(next(iter(figures["boxes"].values())))
        rows = [[str(n), *(f"{f[stage]:.2f}" for stage in stages)] for n, f in figures["boxes"].items()]
        parts.append(report.markdown(["boxes, CPU ms a frame", *stages], rows))
    return "\n\n".join(parts)


def draw(figures: dict[str, Any]) -> str:
    plots = []
    if "cameras" in figures:
        series = {
            name: [(float(n), f["results_per_s"]) for n, f in counts.items()]
            for name, counts in figures["cameras"].items()
        }
        plots.append(
            plot.lines("Cameras on two cores, 30 pictures a second each", series, "cameras", "results/s")
        )
    if "viewers" in figures:
        nobody = next(iter(figures["viewers"]["nobody"].values()))["program_cores"]
        series = {
            f"{name}: {words}": [(float(n), f[key]) for n, f in figures["viewers"][name].items()]
            for name in ("relayed", "drawn")
            for key, words in (("program_cores", "program"), ("kernel_cores", "kernel"))
        }
        title = f"Viewers of one page, 640x480 at 30/s (nobody: {nobody:.2f} cores)"
        plots.append(plot.lines(title, series, "viewers", "CPU, cores"))
    if "boxes" in figures:
        groups = {f"{n} boxes": f for n, f in figures["boxes"].items()}
        plots.append(plot.bars("Boxes: CPU a frame", groups, "ms", stacked=True))
    return plot.beside(*plots)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("what", nargs="*", choices=["cameras", "viewers", "boxes", []], help="all without it")
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement")
    options = parser.parse_args()
    what = options.what or ["cameras", "viewers", "boxes"]
    report.run("scaling", options, lambda: measure(what, options.seconds), table, draw)


if __name__ == "__main__":
    main()
