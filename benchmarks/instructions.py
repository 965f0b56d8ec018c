"""Instructions a frame of the whole command, counted by valgrind, which other work on the machine does not
touch.

    python benchmarks/instructions.py [--frames 10] [--cases NAME...] [--out FOLDER]

`edgecam run` on a 1280x720 Motion JPEG file, one thread, results to a file: a run of N frames and one of 3
N under callgrind; the difference is what 2 N frames take, start-up not counted. By library: what Python and
its modules take, TurboJPEG, OpenCV, NumPy, the interpreter. Valgrind knows AVX2 but not AVX-512, so a
network's own count is that of a machine without it. Slow: some minutes for each row.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plot
import report
from camera import photographs
from watched import EDGECAM

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
TINY = REAL / "mobilenet_v1_0.25_128_quant.tflite"
FOREIGN = ["--labels", str(REAL / "imagenet_labels.txt"), "--decoder", "classify"]
#: case -> flags
CASES = {
    "without a network (SSD 300)": ["--engine", "fake"],
    "MobileNetV1 0.25 128": ["--model", str(TINY), *FOREIGN],
}
#: What a file's name says of whose it is.
OWNERS = {
    "turbojpeg|simplejpeg|_jpeg": "TurboJPEG",
    "cv2|opencv|avcodec|avformat|avutil|swscale": "OpenCV",
    "numpy|openblas|umath": "NumPy",
    "litert|tensorflow|xnnpack|pywrap": "interpreter",
    "python": "Python",
    "libc[.-]|libpthread|ld-linux|libm[.-]|libstdc|libgcc|libz": "system",
}


def owner(path: str) -> str:
    """Whose a library is."""
    name = path.lower()
    base = Path(name).name
    for pattern, whose in OWNERS.items():
        if re.search(pattern, base) or (whose != "Python" and re.search(rf"/({pattern})", name)):
            return whose
    return "other" if base and base != "???" else "not named"


def by_library(text: str) -> Counter[str]:
    """Instructions of each owner in a file of callgrind's; its manual has the format."""
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    whose, skip = "not named", False
    for line in text.splitlines():
        if line.startswith(("ob=", "cob=")):  # a name is spelled out once, by either
            number, _, name = line.partition("=")[2].partition(" ")
            names.setdefault(number, name)
            whose = owner(names[number]) if line.startswith("ob=") else whose
        elif line.startswith("calls="):
            skip = True  # the next line is what the called one took: it stands there too
        elif line and line[0] in "0123456789+-*":
            if not skip:
                found[whose] += int(line.split()[-1])
            skip = False
    return found


def count(flags: list[str], film: Path, frames: int) -> Counter[str]:
    """Instructions of a run of so many frames, start-up included."""
    out = film.parent / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, str(EDGECAM)]
    command += ["run", f"video:{film}?loop=yes", *flags, "--threads", "1", "--max-frames", str(frames)]
    subprocess.run(
        [*command, "--sink", "jsonl:/dev/null"],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONMALLOC": "malloc"},
    )
    return by_library(out.read_text())


def measure(frames: int, cases: Sequence[str]) -> dict[str, Any]:
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed: apt install valgrind")
    made, found = photographs(count=30), {}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mjpeg"
        film.write_bytes(b"".join(made))
        for name in cases:
            flags = CASES[name]
            if str(TINY) in flags and not TINY.exists():
                continue
            short, long = (count(flags, film, number) for number in (frames, 3 * frames))
            found[name] = {
                whose: round((long[whose] - short[whose]) / (2 * frames) / 1e6, 3)
                for whose in long
                if long[whose] - short[whose] > 1000 * frames
            }
            print(name, found[name], file=sys.stderr, flush=True)
    return {"frames": frames, "millions_a_frame": found}


def table(figures: dict[str, Any]) -> str:
    cases = figures["millions_a_frame"]
    names = {whose for f in cases.values() for whose in f}
    owners = sorted(names, key=lambda whose: -max(f.get(whose, 0) for f in cases.values()))
    rows = [
        [name, f"**{sum(f.values()):.1f}**", *(f"{f.get(whose, 0):.2f}" for whose in owners)]
        for name, f in cases.items()
    ]
    return report.markdown(["millions of instructions a frame", "all", *owners], rows)


def draw(figures: dict[str, Any]) -> str:
    title = "Instructions a frame, 1280x720 (valgrind)"
    return plot.bars(title, figures["millions_a_frame"], "millions", stacked=True, digits=1)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    report.run("instructions", options, lambda: measure(options.frames, options.cases), table, draw)


if __name__ == "__main__":
    main()
