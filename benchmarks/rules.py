"""What tracking and rules cost: CPU milliseconds a frame of one thread, nothing else measured.

    python benchmarks/rules.py [--json] [--frames 600] [--objects 5 20 50]

Walkers of a made-up scene (see `tests/tracking/scenes.py`), or a crowd that overlaps all the time, at 30
frames a second; eight rules on three zones and two lines. Half the frames cost at most the median, 99 of 100
at most the p99. CPU time, because other work on the machine does not count in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgecam.analysis import Analysis
from edgecam.scene import Line, Rule, Zone, check
from edgecam.scene import Scene as Places
from edgecam.types import Detections, Frame
from tests.tracking.scenes import SIZE, THRESHOLD, Scene

LABELS = ("person", "car", "dog")
WANTED = 1.0  # milliseconds at 20 objects

ZONES = (
    Zone("door", ((0.1, 0.3), (0.4, 0.3), (0.4, 1.0), (0.1, 1.0))),
    Zone("road", ((0.3, 0.2), (0.6, 0.1), (0.9, 0.4), (0.8, 0.9), (0.5, 0.6), (0.35, 0.9))),
    Zone("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),
)
LINES = (Line("gate", ((0.5, 0.0), (0.5, 1.0))), Line("kerb", ((0.0, 0.7), (1.0, 0.7))))
RULES = (
    Rule("visitor", zone="door", labels=("person",), dwell=1.0, cooldown=5.0),
    Rule("loiterer", zone="door", labels=("person",), dwell=10.0),
    Rule("parked", zone="road", labels=("car",), min_size=0.01, dwell=5.0),
    Rule("crowd", zone="all", labels=("person",), count=5),
    Rule("anything", zone="all", min_score=0.6),
    Rule("in", line="gate", direction="in"),
    Rule("both", line="gate"),
    Rule("kerb", line="kerb", labels=("person", "dog"), anchor="center"),
)


def walkers(count: int, frames: int) -> list[tuple[float, Detections]]:
    scene = Scene(walkers=count, classes=3, seconds=frames / 30, ghosts=0.3, seed=4)
    return [(look.at, look.found) for look in scene.looks()]


def crowd(count: int, frames: int) -> list[tuple[float, Detections]]:
    """Everybody within a few steps of everybody else: no two can be told apart by place alone."""
    rng = np.random.default_rng(5)
    home = rng.uniform((560, 400), (720, 500), (count, 2))
    out = []
    for n in range(frames):
        feet = home + 30 * np.sin(n / 20 + home[:, ::-1]) + rng.normal(0, 2, home.shape)
        boxes = np.column_stack((feet - [40, 200], np.add(feet, [40, 0]))).astype(np.float32)
        score = np.sort(rng.uniform(0.3, 0.95, count).astype(np.float32))[::-1].copy()
        out.append((n / 30, Detections(boxes, score, np.zeros(count, np.int32))))
    return out


def cost(seen: list[tuple[float, Detections]], analysis: Analysis) -> dict[str, float]:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    spent, events = [], 0
    for n, (at, found) in enumerate(seen):
        frame = Frame(n, image, media_time=at)
        began = time.thread_time_ns()
        _, steps = analysis.look(frame, found, LABELS, THRESHOLD)
        spent.append((time.thread_time_ns() - began) / 1e6)
        events += len(steps)
    spent = spent[len(spent) // 10 :]
    return {
        "median_ms": round(float(np.median(spent)), 3),
        "p99_ms": round(float(np.percentile(spent, 99)), 3),
        "part_of_a_frame_at_30_fps": round(float(np.median(spent)) * 30 / 1000, 4),
        "events": events,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5, 20, 50])
    args = parser.parse_args()
    places = Places(ZONES, LINES, RULES)
    check(places)
    kinds: dict[str, Callable[[int, int], list[tuple[float, Detections]]]] = {
        "walkers": walkers,
        "crowd": crowd,
    }
    rows: list[dict[str, Any]] = []
    for kind, make in kinds.items():
        for count in args.objects:
            seen = make(count, args.frames)
            for what, scene in (("tracking", Places()), ("tracking and rules", places)):
                rows.append({"scene": kind, "objects": count, "what": what} | cost(seen, Analysis(scene)))
    if args.json:
        print(json.dumps({"wanted_ms_at_20": WANTED, "rows": rows}, indent=1))
        return
    print(f"{'scene':8} {'objects':>7}  {'what':20} {'median':>8} {'p99':>8}  of a frame at 30 fps")
    for row in rows:
        print(
            f"{row['scene']:8} {row['objects']:7}  {row['what']:20} {row['median_ms']:5.3f} ms "
            f"{row['p99_ms']:5.3f} ms  {row['part_of_a_frame_at_30_fps']:6.1%}"
        )


if __name__ == "__main__":
    main()
