"""What it takes from the command to the first result, and which imports cost what.

    python benchmarks/startup.py [--rounds 5] [--out FOLDER]

Steps, each a process of its own, wall clock, median of the rounds (the files are in the system's cache):
Python by itself, the command line's imports, `edgecam --help`, the libraries that a run needs, a model
loaded and run once, and `edgecam run` until its first result comes out of the pipe: from a file, and from a
camera over HTTP at 30 pictures a second. Then the profile of imports of such a run (``python -X
importtime``): what each package takes by itself, without those that it imports.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import plot
import report
from camera import Camera, photographs
from watched import EDGECAM, Run

LOAD = """
import time
from edgecam import build
from edgecam.config import Settings
began = time.perf_counter()
build.load_model(Settings())
print(time.perf_counter() - began)
"""
ALONE = {
    "python": "pass",
    "the command line's imports": "import edgecam.cli.app",
    "numpy": "import numpy",
    "cv2": "import cv2",
    "ai-edge-litert": "import ai_edge_litert.interpreter",
    "all a run needs": "import numpy, cv2, simplejpeg, edgecam.build, ai_edge_litert.interpreter",
}
MOST = 14  # packages that are shown


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def once(film: Path, camera: Camera) -> dict[str, float]:
    """Each step once, in seconds."""
    found = {name: seconds([sys.executable, "-c", code]) for name, code in ALONE.items()}
    found["edgecam --help"] = seconds([str(EDGECAM), "--help"])
    done = subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True)
    found["the model, loaded and run once"] = float(done.stdout)
    for name, source in (("file", str(film)), ("camera", camera.url)):
        run = Run.start(source, page=False)
        run.process.kill()
        run.process.wait()
        found[f"first result, {name}"] = run.first
    run = Run.start(camera.url)
    run.stop()
    found["first result, camera, with the page"] = run.first
    return found


def imports(film: Path) -> dict[str, float]:
    """Milliseconds that each package takes by itself in a run of one frame."""
    command = [sys.executable, "-X", "importtime", str(EDGECAM), "run", str(film), "--max-frames", "1"]
    done = subprocess.run([*command, "--sink", "jsonl:/dev/null"], check=True, capture_output=True, text=True)
    found: Counter[str] = Counter()
    for line in re.finditer(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", done.stderr, re.MULTILINE):
        package = line[2].partition(".")[0]
        found["the standard library" if package in sys.stdlib_module_names else package] += int(line[1])
    return {name: round(spent / 1000, 1) for name, spent in found.most_common(MOST)}


def measure(rounds: int) -> dict[str, Any]:
    made = photographs()
    with tempfile.TemporaryDirectory() as folder, Camera(made, 30) as camera:
        film = Path(folder) / "film.mjpeg"
        film.write_bytes(b"".join(made))
        once(film, camera)  # caches fill
        found = [once(film, camera) for _ in range(rounds)]
        profile = imports(film)
    steps = {name: round(statistics.median(f[name] for f in found), 3) for name in found[0]}
    return {"steps_s": steps, "rounds": found, "imports_ms": profile}


def table(figures: dict[str, Any]) -> str:
    steps = [[name, f"{value:.2f}"] for name, value in figures["steps_s"].items()]
    packages = [[name, f"{value:.0f}"] for name, value in figures["imports_ms"].items() if value >= 1]
    return "\n\n".join(
        (
            report.markdown(["step", "s"], steps),
            report.markdown(["package, by itself, in a run of one frame", "ms"], packages),
        )
    )


def draw(figures: dict[str, Any]) -> str:
    steps = {name: {"s": value} for name, value in figures["steps_s"].items()}
    packages = {name: {"ms": value} for name, value in figures["imports_ms"].items()}
    return plot.beside(
        plot.bars("From the command to the first result", steps, "s", target=1.5),
        plot.bars("What each package takes to import, by itself", packages, "ms", digits=0),
    )


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    report.run("startup", options, lambda: measure(options.rounds), table, draw)


if __name__ == "__main__":
    main()
