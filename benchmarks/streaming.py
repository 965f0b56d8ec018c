"""Serving one camera to a browser: edgecam beside µStreamer and Motion, on a camera of a real kernel.

    python benchmarks/streaming.py [--seconds 30] [--out FOLDER]

In the tests' virtual machine (see `tests/vm`): a USB webcam that sends numbered 1280x720 Motion JPEG at 10
pictures a second over the kernel's own driver, one viewer at a time. The machine is emulated and its clock
counts instructions, 250 million a second for both of its cores together: a slow board, but one on which
other work on the real machine changes nothing. Read the ratios.

µStreamer hands the camera's JPEG on; Motion decodes every picture, looks for motion and encodes it anew;
edgecam does either, here without a network (``--engine fake``) and with the smallest bundled model.
Programs come from Debian (``apt install ustreamer motion``).
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import plot
import process
import report
from camera import numbered

ROOT = Path(__file__).resolve().parents[1]
SIZE, FPS = (1280, 720), 10
MARK = "streaming-figures "
CLOCK = 2  # four nanoseconds an instruction, so 250 million a second
MOTION = """
daemon off
videodevice {device}
width {width}
height {height}
framerate {fps}
v4l2_palette 8
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


def servers(device: str, folder: Path) -> list[Server]:
    """All that are compared."""
    edgecam = [sys.executable, "-m", "edgecam", "run"]
    edgecam += [f"camera:{device}?size={SIZE[0]}x{SIZE[1]}&fps={FPS}", "--no-status-line"]
    page = ["--sink", "web:127.0.0.1:8081"]
    config = folder / "motion.conf"
    config.write_text(MOTION.format(device=device, width=SIZE[0], height=SIZE[1], fps=FPS))
    relay = ["ustreamer", "--device", device, "--format", "MJPEG", "--encoder", "HW", "--port", "8083"]
    relay += ["--resolution", f"{SIZE[0]}x{SIZE[1]}", "--desired-fps", str(FPS)]
    no_network = [*edgecam, "--engine", "fake", *page]
    network = [*edgecam, "--model", "classify-person", *page]
    return [
        Server("µStreamer", relay, "http://127.0.0.1:8083/stream"),
        Server("edgecam, relayed", no_network, "http://127.0.0.1:8081/live"),
        Server("edgecam, relayed, with a model", network, "http://127.0.0.1:8081/live"),
        Server("Motion", ["motion", "-c", str(config)], "http://127.0.0.1:8082/"),
        Server("edgecam, drawn", no_network, "http://127.0.0.1:8081/stream.mjpg"),
        Server("edgecam, drawn, with a model", network, "http://127.0.0.1:8081/stream.mjpg"),
    ]


class Watcher:
    """The one viewer: how old each picture is when it is there."""

    def __init__(self, url: str, sent: dict[int, float]) -> None:
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
                    if number in self._sent:
                        self.ages.append((now - self._sent[number]) * 1000)

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


def watch(server: Server, sent: dict[int, float], seconds: float, log: Path) -> dict[str, Any] | str:
    """One server with its one viewer; its last words if it serves nothing."""
    began = time.monotonic()
    with started(server.command, log) as running:
        viewer = Watcher(server.url, sent)
        try:
            while len(viewer.ages) < 3:
                if running.poll() is not None or time.monotonic() - began > 120:
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

    made, sent = numbered(SIZE, 64), dict[int, float]()

    def picture(kind: str, size: tuple[int, int], number: int) -> bytes:
        if (kind, size) != ("MJPG", SIZE):  # not what was asked for: nothing that could be measured
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
            found[server.name] = watch(server, sent, seconds, Path(folder) / "log")
            print(server.name, found[server.name], flush=True)
        webcam.unplug()
    print(MARK + json.dumps(found), flush=True)


def measure(seconds: float) -> dict[str, Any]:
    from tests.vm import machine

    command = [sys.executable, str(Path(__file__)), "--guest", f"--seconds={seconds}"]
    outcome = machine.run(command, 3000, clock=CLOCK)
    for line in outcome.output.splitlines():
        if line.startswith(MARK):
            return {"servers": json.loads(line.removeprefix(MARK)), "seconds": seconds}
    raise SystemExit(f"the virtual machine gave no figures:\n{outcome.output[-2000:]}")


def table(figures: dict[str, Any]) -> str:
    columns = ("", "CPU ms a picture", "age ms p50 / p95 / p99", "pictures/s", "MB", "first picture s")
    rows = []
    for name, found in figures["servers"].items():
        if isinstance(found, str):
            rows.append([name, found.splitlines()[-1][:90] if found else "nothing", "", "", "", ""])
            continue
        age = " / ".join(f"{found['age'][p]:.0f}" for p in ("p50", "p95", "p99"))
        cells = [f"{found['cpu_ms']:.1f}", age, f"{found['pictures_per_s']:.1f}"]
        rows.append([name, *cells, f"{found['memory_mb']:.0f}", f"{found['first_s']:.1f}"])
    return report.markdown(columns, rows)


def draw(figures: dict[str, Any]) -> str:
    served = {name: f for name, f in figures["servers"].items() if isinstance(f, dict)}
    return plot.beside(
        plot.bars(
            "Serving a webcam, emulated machine: CPU a picture",
            {name: {"ms": f["cpu_ms"]} for name, f in served.items()},
            "ms",
            digits=1,
        ),
        plot.bars(
            "The same: age of the picture at the viewer, median",
            {name: {"ms": f["age"]["p50"]} for name, f in served.items()},
            "ms",
            digits=0,
        ),
    )


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement")
    parser.add_argument("--guest", action="store_true", help="this is the virtual machine")
    options = parser.parse_args()
    if options.guest:
        guest(options.seconds)
        return
    report.run("streaming", options, lambda: measure(options.seconds), table, draw)


if __name__ == "__main__":
    main()
