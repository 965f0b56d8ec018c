"""How old a picture is when its result is there, and when a browser has it.

    python benchmarks/age.py [--seconds 8] [--browser] [--out FOLDER]

The real command on a live 1280x720 Motion JPEG camera over HTTP, at 30 and at 60 pictures a second, and
with a model that is slower than the camera. Without viewers: the age when the frame is taken, when
inference starts, when its result is made (by the command's own clock, from the arrival of the picture), and
when the line with the result comes out of the pipe (by the camera's clock, from the moment it sent the
picture). With a viewer: the age when the viewer has the whole picture, relayed as the camera gave it and
drawn by the server. With ``--browser`` also when Chromium has put it on the page's canvas, boxes drawn by
the page.

Wanted: no frame is older than one interval of the camera when it is taken for inference.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import plot
import report
from camera import Camera, numbered
from watched import Run

from edgecam import jpeg
from edgecam.sources.multipart import MultipartReader
from edgecam.sources.synthetic import seq_of

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
SLOW = REAL / "coco_ssd_mobilenet_v1_1.0_quant.tflite"
STEPS = ("taken", "preprocessed", "decoded")
#: case -> (pictures a second, flags)
CASES: dict[str, tuple[float, list[str]]] = {
    "detect-coco, 30/s": (30, []),
    "detect-coco, 60/s": (60, []),
    "slow model, 30/s": (30, ["--model", str(SLOW), "--threads", "1"]),
    "slow model, 60/s": (60, ["--model", str(SLOW), "--threads", "1"]),
}
FOREIGN = ["--decoder", "ssd-postprocess", "--labels", str(REAL / "coco_labels.txt")]


class Viewer:
    """Reads a stream and notes how old each picture is when it is there as a whole."""

    def __init__(self, url: str, camera: Camera) -> None:
        self.ages: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(url, camera), daemon=True)
        self._thread.start()

    def _read(self, url: str, camera: Camera) -> None:
        reader = MultipartReader("edgecam-frame", 1 << 24)
        with urllib.request.urlopen(url, timeout=20) as answer:
            while not self._stop.is_set():
                for part in reader.feed(answer.read1(1 << 18)):
                    if part.headers.get("content-type") != "image/jpeg":
                        continue
                    now = time.monotonic()
                    number = seq_of(jpeg.decode(part.body, 320, 180))
                    self.ages.append((now - camera.sent(number)) * 1000)

    def stop(self) -> list[float]:
        self._stop.set()
        self._thread.join(10)
        return self.ages


def bare(run: Run, camera: Camera, seconds: float, interval: float) -> dict[str, Any]:
    """Ages without viewers."""
    at = len(run.rows)
    cpu = run.cpu()
    time.sleep(seconds)
    used = run.cpu() - cpu
    rows = run.rows[at:]
    heard = run.heard[at : at + len(rows)]
    ages = {step: report.percentiles([row["ms"][step] for row in rows]) for step in STEPS}
    lines = [(when - camera.sent(row["seq"])) * 1000 for row, when in zip(rows, heard, strict=True)]
    late = sum(row["ms"]["taken"] > interval for row in rows)
    infer = [row["ms"]["inferred"] - row["ms"]["preprocessed"] for row in rows]
    return {
        **ages,
        "line": report.percentiles(lines),
        "infer": report.percentiles(infer),
        "results_per_s": round(len(rows) / seconds, 1),
        "older_than_an_interval": late,
        "results": len(rows),
        "cpu_ms": round(used / max(len(rows), 1) * 1000, 2),
    }


def case(camera: Camera, fps: float, flags: list[str], seconds: float, browser: bool) -> dict[str, Any]:
    """One case, without and with viewers."""
    run = Run.start(camera.url, "--no-status-line", *flags)
    try:
        time.sleep(2)  # weights are repacked and caches filled
        found = bare(run, camera, seconds, 1000 / fps)
        for name, path in (("relayed", "/live"), ("drawn", "/stream.mjpg")):
            viewer = Viewer(run.url + path, camera)
            time.sleep(seconds)
            found[name] = report.percentiles(viewer.stop()[5:])
        if browser:
            found["browser"] = report.percentiles(in_browser(run.url, camera, seconds))
    finally:
        run.stop()
    return found


#: Reads the strip at the lower edge of the page's canvas whenever the browser is about to show a picture.
LOOK = """
const canvas = document.getElementById("picture"), small = document.createElement("canvas");
small.width = 32; small.height = 1; window.seen = [];
const context = small.getContext("2d", { willReadFrequently: true });
let last = -1;
function look() {
  const w = canvas.width, h = canvas.height;
  context.drawImage(canvas, 0, h - Math.floor(h / 80), w, 1, 0, 0, 32, 1);
  const data = context.getImageData(0, 0, 32, 1).data;
  let number = 0;
  for (let bit = 0; bit < 16; bit++) if (data[(2 * bit + 1) * 4 + 1] > 127) number |= 1 << bit;
  if (number !== last) window.seen.push([number, performance.timeOrigin + performance.now()]);
  last = number;
  requestAnimationFrame(look);
}
look();
"""


def in_browser(url: str, camera: Camera, seconds: float) -> list[float]:
    """Ages when the page's canvas holds a picture, in headless Chromium (drawn by the processor)."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.browser.driver import Browser

    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder)) as browser:
        browser.open(url)
        browser.wait(
            "a picture", lambda: browser.run("return document.getElementById('picture').width > 100")
        )
        browser.run(LOOK)
        time.sleep(1)
        shift = time.time() - time.monotonic()
        ages: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            for number, at in browser.run("return window.seen.splice(0)"):
                ages.append(at - (camera.sent(number) + shift) * 1000)
    return ages


def measure(seconds: float, browser: bool) -> dict[str, Any]:
    made = numbered()
    found = {}
    for name, (fps, flags) in CASES.items():
        if flags and not SLOW.exists():
            continue
        with Camera(made, fps) as camera:
            found[name] = case(camera, fps, flags + (FOREIGN if flags else []), seconds, browser)
            print(name, found[name]["results_per_s"], file=sys.stderr, flush=True)
    return {"size": [1280, 720], "seconds": seconds, "cases": found}


def table(figures: dict[str, Any]) -> str:
    columns = "p50 / p95 / p99 ms", "results/s", "infer ms", "taken", "inference starts", "result"
    columns += ("line out", "picture relayed", "picture drawn", "in Chromium", "older than an interval")
    rows = []
    for name, found in figures["cases"].items():
        ages = [
            " / ".join(f"{found[step][p]:.1f}" for p in ("p50", "p95", "p99")) if found.get(step) else ""
            for step in (*STEPS, "line", "relayed", "drawn", "browser")
        ]
        late = f"{found['older_than_an_interval']} of {found['results']}"
        rows.append([name, f"{found['results_per_s']:.1f}", f"{found['infer']['p50']:.1f}", *ages, late])
    return report.markdown(columns, rows)


def draw(figures: dict[str, Any]) -> str:
    words = {
        "preprocessed": "inference starts",
        "decoded": "result",
        "relayed": "viewer has it, relayed",
        "drawn": "viewer has it, drawn",
        "browser": "Chromium shows it",
    }
    plots = [
        plot.bars(
            f"Age of a live picture, {percent} (1280x720)",
            {
                name: {w: found[step][percent] for step, w in words.items() if found.get(step)}
                for name, found in figures["cases"].items()
            },
            "ms",
            digits=1,
        )
        for percent in ("p50", "p99")
    ]
    return plot.beside(*plots)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--browser", action="store_true", help="in Chromium too (chromium-driver, httpx)")
    options = parser.parse_args()
    report.run("age", options, lambda: measure(options.seconds, options.browser), table, draw)


if __name__ == "__main__":
    main()
