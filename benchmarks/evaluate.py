"""How much of the engine's bare rate `edgecam-convert evaluate` reaches, by wall clock and by processor time.

    edgecam-convert quantize MODEL --data PICTURES --work WORK
    python benchmarks/evaluate.py WORK [--rounds 5] [--json FILE]

Bare is the networks alone, one after another (the float twin and the variants, as evaluate judges them), on
inputs that are ready: single-threaded copies on every core, or one with a thread a core, whichever does more.
Judging is all that evaluate does with a picture: read, decode, preprocess, run, decode the answers, keep
them. The two take turns in one process, so that a machine that gets busy slows both; the ratio is the median
of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from converters import judge, variants
from converters.dataset import Dataset
from converters.judging.answers import Answers, Translation
from converters.judging.runner import Runner
from converters.variants import FLOAT
from converters.work import Work
from edgecam import bench
from edgecam.types import Array

CORES = len(os.sched_getaffinity(0))
SECONDS = 3.0


@dataclass(frozen=True)
class Round:
    """Pictures a second, and processor milliseconds a picture."""

    bare: float
    judged: float
    bare_ms: float
    judged_ms: float

    @property
    def by_wall(self) -> float:
        return self.judged / self.bare

    @property
    def by_processor(self) -> float:
        return self.bare_ms / self.judged_ms


def bare(models: Mapping[str, Path], copies: int, threads: int) -> tuple[float, float]:
    """Pictures a second of so many copies side by side, and processor milliseconds a picture."""

    def work(runners: list[Runner]) -> int:
        count = 0
        while time.monotonic() < until:
            for runner, tensor in zip(runners, tensors, strict=True):
                runner.engine.infer(tensor)
            count += 1
        return count

    with ExitStack() as stack, ThreadPoolExecutor(copies) as pool:
        sets = [
            [stack.enter_context(Runner(path, threads)) for path in models.values()] for _ in range(copies)
        ]
        tensors = [_tensor(runner) for runner in sets[0]]
        for runners in sets:
            for runner, tensor in zip(runners, tensors, strict=True):
                runner.engine.infer(tensor)
        began, used = time.monotonic(), time.process_time()
        until = began + SECONDS
        runs = sum(pool.map(work, sets))
        return runs / (time.monotonic() - began), 1000 * (time.process_time() - used) / runs


def _tensor(runner: Runner) -> Array:
    info = runner.engine.input
    return np.random.default_rng(0).integers(0, 100, info.shape).astype(info.dtype)


def judged(models: Mapping[str, Path], data: Dataset) -> tuple[float, float]:
    """Pictures a second while judging, and processor milliseconds a picture."""
    samples = [sample for part in data.parts().values() for sample in part]
    with ExitStack() as stack:
        answers = {}
        for name, path in models.items():
            with Runner(path, 1) as runner:
                answers[name] = Answers(Translation(runner.spec, 0, data.names))
        run = judge.Pass(models, answers, stack)
        used = time.process_time()
        run.through(samples, lambda done, total: None)
        return len(run.seen) / run.seconds, 1000 * (time.process_time() - used) / len(run.seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    work = Work(options.work)
    data = Dataset.from_json(work.path("data.json").read_text(encoding="utf-8"))
    models = {"float": work.path(FLOAT), **{v.recipe: work.path(v.file) for v in variants.read(work)}}
    rounds = []
    for _ in range(options.rounds):
        best = max(bare(models, CORES, 1), bare(models, 1, CORES))
        found = judged(models, data)
        rounds.append(Round(best[0], found[0], best[1], found[1]))
        last = rounds[-1]
        print(
            f"bare {last.bare:7.1f}/s {last.bare_ms:6.2f} ms"
            f"   judged {last.judged:7.1f}/s {last.judged_ms:6.2f} ms"
            f"   {last.by_wall:.0%} by wall clock, {last.by_processor:.0%} by processor time",
            flush=True,
        )
    wall = statistics.median(r.by_wall for r in rounds)
    processor = statistics.median(r.by_processor for r in rounds)
    pictures = sum(map(len, data.parts().values()))
    print(f"median {wall:.0%} by wall clock, {processor:.0%} by processor time, {pictures} pictures")
    if options.json:
        content = {
            "models": list(models),
            "pictures": pictures,
            "machine": bench.machine(),
            "load": os.getloadavg()[0],
            "rounds": [asdict(r) for r in rounds],
            "by_wall": round(wall, 3),
            "by_processor": round(processor, 3),
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
