"""Is edgecam's tracker as good as others? MOTA and IDF1 on made-up scenes with known truth.

    python benchmarks/tracking.py [--json]

Needs edgecam alone. Where `trackers` (with `supervision` before 0.28) can be imported, their ByteTrack,
BoT-SORT and OC-SORT run over the same scenes; what they reached is kept in `tests/tracking/reference.json`
(`--write`), and a test holds edgecam's tracker against it.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgecam.tracking.tracker import Tracker  # noqa: E402
from tests.tracking.scenes import SCENES, SIZE, THRESHOLD, Answer, Look, Scene, run  # noqa: E402

REFERENCE = ROOT / "tests" / "tracking" / "reference.json"
Step = Callable[[Look], Answer]


def ours(scene: Scene) -> Step:
    tracker = Tracker(lost=1.0)

    def step(look: Look) -> Answer:
        out = tracker.update(look.at, look.found, SIZE, THRESHOLD)
        assert out.track_id is not None
        return out.xyxy, out.track_id

    return step


def others() -> dict[str, Callable[[Scene], Step]]:
    """Other people's trackers, as their authors set them up, one second of memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import supervision
            import trackers
    except ImportError:
        return {}

    def fed(make: Callable[[Scene], Any], call: str) -> Callable[[Scene], Step]:
        def begin(scene: Scene) -> Step:
            tracker = make(scene)

            def step(look: Look) -> Answer:
                found = look.found
                rows = supervision.Detections(
                    xyxy=found.xyxy, confidence=found.score, class_id=found.class_id.astype(int)
                )
                out = getattr(tracker, call)(rows)
                ids = np.full(len(out), -1) if out.tracker_id is None else np.asarray(out.tracker_id)
                return out.xyxy, ids + (call == "update")  # these count from 0 and say -1 for none

            return step

        return begin

    def rate(scene: Scene) -> dict[str, Any]:
        return {"lost_track_buffer": 30, "frame_rate": scene.fps}

    return {
        f"supervision {supervision.__version__} ByteTrack": fed(
            lambda s: supervision.ByteTrack(
                track_activation_threshold=THRESHOLD, lost_track_buffer=30, frame_rate=max(1, round(s.fps))
            ),
            "update_with_detections",
        ),
        "trackers ByteTrack": fed(
            lambda s: trackers.ByteTrackTracker(
                track_activation_threshold=THRESHOLD, high_conf_det_threshold=THRESHOLD, **rate(s)
            ),
            "update",
        ),
        "trackers OC-SORT": fed(lambda s: trackers.OCSORTTracker(**rate(s)), "update"),
        "trackers BoT-SORT": fed(
            lambda s: trackers.BoTSORTTracker(
                track_activation_threshold=THRESHOLD,
                high_conf_det_threshold=THRESHOLD,
                enable_cmc=False,
                **rate(s),
            ),
            "update",
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--write", action="store_true", help=f"keep the others' figures in {REFERENCE.name}")
    args = parser.parse_args()
    who = {"edgecam": ours, **others()}
    figures = {
        tracker: {name: asdict(run(scene, begin(scene))) for name, scene in SCENES.items()}
        for tracker, begin in who.items()
    }
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        for tracker, scenes in figures.items():
            print(tracker)
            for name, f in scenes.items():
                print(f"  {name:20} MOTA {f['mota']:6.1%}  IDF1 {f['idf1']:6.1%}  switches {f['switches']}")
    if args.write:
        kept = {tracker: scenes for tracker, scenes in figures.items() if tracker != "edgecam"}
        if not kept:
            sys.exit("no other tracker here: pip install trackers 'supervision<0.28'")
        REFERENCE.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
