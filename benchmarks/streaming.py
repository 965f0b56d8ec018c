"""Serving one camera to a browser: edgecam beside Motion and µStreamer.

    python benchmarks/streaming.py [--seconds 10] [--where here emulated] [--out FOLDER]

A camera sends numbered Motion JPEG, one viewer at a time reads what each program makes of it. On this
machine the camera comes over HTTP, 30 pictures of 1280x720 a second, which edgecam and Motion can read.
µStreamer reads cameras of the kernel only: with ``--where here emulated`` all are compared in the tests'
virtual machine too (see `tests/vm`), on a USB webcam of 640x480, 5 pictures a second. It is emulated, so
its times say what is more and what is less, not what a board would show: read the ratios.

µStreamer hands the camera's JPEG on; Motion decodes every picture, looks for motion and encodes it anew;
edgecam does either, here without a network (``--engine fake``) and with a bundled model. Programs come from
Debian (``apt install ustreamer motion``).
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import plot
import process
import report
from camera import Camera, numbered

ROOT = Path(__file__).resolve().parents[1]
LIVE, WEBCAM = ((1280, 720), 30), ((640, 480), 5)  # sizes, and pictures a second
PATIENCE = 300  # seconds for a first picture: the virtual machine is slow
MARK = "streaming-figures "
MOTION = """
daemon off
{source}
width {width}
height {height}
framerate {fps}
picture_output off
movie_output off
text_right
stream_port 8082
stream_localhost on
stream_maxrate 100
stream_quality 80
webcontrol_port 0
log_level 4
"""


@dataclass(frozen=True)
class Server:
    """A program that serves a camera at an address."""

    name: str
    command: list[str]
    url: str


def servers(source: str, folder: Path) -> list[Server]:
    """All that can read a source: an address, or a camera of the kernel."""
    http = source.startswith("http")
    (width, height), fps = LIVE if http else WEBCAM
    device = source if http else f"camera:{source}?size={width}x{height}&fps={fps}"
    edgecam = [sys.executable, "-m", "edgecam", "run", device, "--no-status-line"]
    edgecam += ["--sink", "web:8081"]
    config = folder / "motion.conf"
    words = (
        f"netcam_url {source.replace('http:', 'mjpeg:')}" if http else f"videodevice {source}\nv4l2_palette 8"
    )
    config.write_text(MOTION.format(source=words, width=width, height=height, fps=fps))
    relay = ["ustreamer", "--device", source, "--format", "MJPEG", "--encoder", "HW", "--port", "8083"]
    relay += ["--resolution", f"{width}x{height}", "--desired-fps", str(fps)]
    bare, model = [*edgecam, "--engine", "fake"], [*edgecam, "--model", "classify-person"]
    live, drawn = "http://127.0.0.1:8081/live", "http://127.0.0.1:8081/stream.mjpg"
    found = [] if http else [Server("µStreamer", relay, "http://127.0.0.1:8083/stream")]
    return [
        *found,
        Server("edgecam, relayed", bare, live),
        Server("edgecam, relayed, with a model", model, live),
        Server("Motion", ["motion", "-c", str(config)], "http://127.0.0.1:8082/"),
        Server("edgecam, drawn", bare, drawn),
        Server("edgecam, drawn, with a model", model, drawn),
    ]


class Watcher:
    """The one viewer: how old each picture is when it is there."""

    def __init__(self, url: str, sent: Callable[[int], float]) -> None:
        self.ages: list[float] = []
        self.first = 0.0
        self._sent = sent
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                self._read()
            time.sleep(0.05)

    def _read(self) -> None:
        from edgecam import jpeg
        from edgecam.sources.multipart import MultipartReader, boundary_of
        from edgecam.sources.synthetic import seq_of

        with urllib.request.urlopen(self._url, timeout=20) as answer:
            last = -1
            reader = MultipartReader(boundary_of(answer.headers["content-type"]), 1 << 24)
            while not self._stop.is_set():
                data = answer.read1(1 << 18)
                if not data:
                    return
                for part in reader.feed(data):
                    if part.headers.get("content-type") != "image/jpeg":
                        continue
                    now = time.monotonic()
                    self.first = self.first or now
                    number = seq_of(jpeg.decode(part.body, 320, 180, strict=False))
                    if number != last:  # Motion sends a picture again where no new one has come
                        self.ages.append((now - self._sent(number)) * 1000)
                    last = number

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)


@contextlib.contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def watch(server: Server, sent: Callable[[int], float], seconds: float, log: Path) -> dict[str, Any] | str:
    """One server with its one viewer; its last words if it serves nothing."""
    began = time.monotonic()
    with started(server.command, log) as running:
        viewer = Watcher(server.url, sent)
        try:
            while len(viewer.ages) < 3:
                if running.poll() is not None or time.monotonic() - began > PATIENCE:
                    return log.read_text("utf-8", "replace").strip()[-300:]
                time.sleep(0.05)
            time.sleep(3)
            cpu, at = process.cpu(running.pid), len(viewer.ages)
            time.sleep(seconds)
            used, ages = process.cpu(running.pid) - cpu, viewer.ages[at:]
            return {
                "cpu_ms": round(used / max(len(ages), 1) * 1000, 2),
                "pictures_per_s": round(len(ages) / seconds, 1),
                "memory_mb": round(process.memory(running.pid), 1),
                "first_s": round(viewer.first - began, 1),
                "age": report.percentiles(ages),
            }
        finally:
            viewer.stop()


def guest(seconds: float) -> None:
    """Inside the virtual machine."""
    from edgecam import cameras
    from tests.vm.webcam import NAME, Webcam

    made, sent = numbered(WEBCAM[0], 64), dict[int, float]()

    def picture(kind: str, size: tuple[int, int], number: int) -> bytes:
        if (kind, size) != ("MJPG", WEBCAM[0]):  # not what was asked for: nothing that could be measured
            return bytes(2 * size[0] * size[1])
        sent[number % len(made)] = time.monotonic()
        return made[number % len(made)]

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        webcam = Webcam(picture)
        device = ""
        while not device:
            listed = [info.path for info in cameras.list_cameras() if info.name.startswith(NAME)]
            device = listed[0] if listed else ""
            time.sleep(0.1)
        for server in servers(device, Path(folder)):
            found[server.name] = watch(server, lambda n: sent.get(n, 0.0), seconds, Path(folder) / "log")
            print(server.name, found[server.name], flush=True)
        webcam.unplug()
    print(MARK + json.dumps(found), flush=True)


def here(seconds: float) -> dict[str, Any]:
    """On this machine, from a camera over HTTP."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, Camera(numbered(LIVE[0]), LIVE[1], shared=True) as camera:
        for server in servers(camera.url, Path(folder)):
            found[server.name] = watch(server, camera.sent, seconds, Path(folder) / "log")
            print(server.name, found[server.name], file=sys.stderr, flush=True)
    return found


def emulated(seconds: float) -> dict[str, Any]:
    """In the virtual machine, from a webcam."""
    from tests.vm import machine

    command = [sys.executable, str(Path(__file__)), "--guest", f"--seconds={seconds}"]
    outcome = machine.run(command, 2400)
    for line in outcome.output.splitlines():
        if line.startswith(MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return found
    raise SystemExit(f"the virtual machine gave no figures:\n{outcome.output[-2000:]}")


PLACES = {"here": here, "emulated": emulated}


def measure(seconds: float, places: list[str]) -> dict[str, Any]:
    return {"places": {place: PLACES[place](seconds) for place in places}, "seconds": seconds}


def table(figures: dict[str, Any]) -> str:
    columns = (
        "where, what",
        "CPU ms a picture",
        "age ms p50 / p95 / p99",
        "pictures/s",
        "MB",
        "first picture s",
    )
    rows = []
    for place, servers in figures["places"].items():
        for name, found in servers.items():
            if isinstance(found, str):
                rows.append([f"{place}: {name}", found.splitlines()[-1][:90] if found else "nothing"])
                continue
            age = " / ".join(f"{found['age'][p]:.0f}" for p in ("p50", "p95", "p99"))
            cells = [f"{found['cpu_ms']:.1f}", age, f"{found['pictures_per_s']:.1f}"]
            rows.append([f"{place}: {name}", *cells, f"{found['memory_mb']:.0f}", f"{found['first_s']:.1f}"])
    return report.markdown(columns, rows)


def draw(figures: dict[str, Any]) -> str:
    plots = []
    for place, servers in figures["places"].items():
        served = {name: f for name, f in servers.items() if isinstance(f, dict)}
        words = "emulated machine" if place == "emulated" else "30 pictures a second over HTTP"
        cost = {name: {"": f["cpu_ms"]} for name, f in served.items()}
        ages = {name: {"": f["age"]["p50"]} for name, f in served.items()}
        plots.append(plot.bars(f"Serving a camera, {words}: CPU a picture", cost, "ms", digits=1))
        plots.append(plot.bars("The same: age of the picture at the viewer, median", ages, "ms", digits=0))
    return plot.beside(*plots)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--where", nargs="*", choices=list(PLACES), default=["here"])
    parser.add_argument("--guest", action="store_true", help="this is the virtual machine")
    options = parser.parse_args()
    if options.guest:
        guest(options.seconds)
        return
    report.run("streaming", options, lambda: measure(options.seconds, options.where), table, draw)


if __name__ == "__main__":
    main()
