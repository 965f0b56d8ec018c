"""What the motion gate spares and what it costs: a clip with and without it, by the real command.

    python benchmarks/motion.py [--clip FILE] [--model detect-coco] [--part 0.002] [--every 5] [--json FILE]

Each run writes its results to a file. Told are the share of frames that the model did not look at, the
processor seconds of both runs, and how many of the detections of the full run have no counterpart (same
label, overlap of at least a half) in the same frame of the other, and the other way round. Without ``--clip``
it is the clip of six people that the tests use.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EDGECAM = Path(sys.executable).with_name("edgecam")
CLIP = Path(__file__).resolve().parents[2] / "shared" / "real" / "one-by-one-person-detection.mp4"
SAME = 0.5  # overlap from which on two boxes are one

Row = dict[str, Any]


def run(clip: Path, model: str, flags: Sequence[str]) -> tuple[list[Row], float]:
    """The lines of a run, and the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        command = [str(EDGECAM), "run", str(clip), "--model", model, "--sink", f"jsonl:{out}", *flags]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return rows, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def unmatched(of: Sequence[Row], among: Sequence[Row]) -> int:
    """Detections of the one frame that are not in the other."""
    free, missing = list(among), 0
    for one in of:
        fits = [o for o in free if o["label"] == one["label"] and overlap(o["box"], one["box"]) >= SAME]
        if fits:
            free.remove(max(fits, key=lambda o: overlap(o["box"], one["box"])))
        missing += not fits
    return missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--model", default="detect-coco")
    parser.add_argument("--part", default="0.002")
    parser.add_argument("--every", default="5")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    full, full_cpu = run(given.clip, given.model, ())
    flags = ("--motion", "--motion-part", given.part, "--motion-every", given.every)
    gated, gated_cpu = run(given.clip, given.model, flags)
    pairs = [(a["detections"], b["detections"]) for a, b in zip(full, gated, strict=True)]
    found: dict[str, Any] = {
        "clip": given.clip.name,
        "model": given.model,
        "part": float(given.part),
        "every": float(given.every),
        "frames": len(full),
        "spared": sum(bool(row.get("repeated")) for row in gated),
        "cpu_s": [round(full_cpu, 1), round(gated_cpu, 1)],
        "detections": sum(len(a) for a, _ in pairs),
        "missed": sum(unmatched(a, b) for a, b in pairs),
        "extra": sum(unmatched(b, a) for a, b in pairs),
    }
    share = f"{found['spared'] / len(full):.0%} of {len(full)} frames spared"
    cost = f"{found['missed']} of {found['detections']} detections missed, {found['extra']} more"
    print(f"{given.clip.name}, {given.model}: {share}, {full_cpu:.1f} -> {gated_cpu:.1f} CPU s; {cost}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
