"""How much of the engine's bare rate `edgecam-convert evaluate` reaches, by wall clock and by processor time.

    edgecam-convert quantize MODEL --data PICTURES --work WORK
    python benchmarks/evaluate.py WORK [--models float int8] [--rounds 5] [--json FILE]

Bare is the networks alone, one after another (the float twin and the variants, as evaluate judges them), on
inputs that are ready: single-threaded copies on every core, or one with a thread a core, whichever does more.
Judging is all that evaluate does with a picture: read, decode, preprocess, run, decode the answers, keep
them. The two take turns in one process, so that a machine that gets busy slows both; the ratio is the median
of the rounds. Then the processor time of each stage is shown, of which only the networks are the engine's.
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
from converters.reading import read
from converters.variants import FLOAT
from converters.work import Work
from edgecam import bench
from edgecam.types import Array

CORES = len(os.sched_getaffinity(0))
SECONDS = 3.0
PICTURES = 100  # for the stages
STAGES = ("reading", "preprocessing", "networks", "decoding")


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
        seen = len(samples) - len(run.skipped)
        return seen / run.seconds, 1000 * (time.process_time() - used) / seen


def stages(models: Mapping[str, Path], data: Dataset) -> dict[str, float]:
    """Processor milliseconds a picture of each thing that judging does, on one thread."""
    samples = [sample for part in data.parts().values() for sample in part][:PICTURES]
    spent: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    last = 0.0

    def lap(stage: str) -> None:
        nonlocal last
        now = time.thread_time()
        spent[stage] += now - last
        last = now

    with ExitStack() as stack:
        runners = [stack.enter_context(Runner(path, 1)) for path in models.values()]
        answers = [Answers(Translation(runner.spec, 0, data.names)) for runner in runners]
        for runner in runners:  # the first run makes its plans
            runner.run(read(samples[0].path))
        last = time.thread_time()
        for sample in samples:
            image = read(sample.path)
            lap("reading")
            for runner, kept in zip(runners, answers, strict=True):
                tensor, geometry = runner.prepare(image)
                lap("preprocessing")
                arrays = runner.engine.infer(tensor)
                lap("networks")
                kept.add(runner.decode(arrays, geometry))
                lap("decoding")
    return {stage: 1000 * seconds / len(samples) for stage, seconds in spent.items()}


def main() -> None:
    options = _arguments()
    work = Work(options.work)
    data = Dataset.from_json(work.path("data.json").read_text(encoding="utf-8"))
    models = {"float": work.path(FLOAT), **{v.recipe: work.path(v.file) for v in variants.read(work)}}
    if options.models:
        models = {name: models[name] for name in options.models}
    pictures = sum(map(len, data.parts().values()))
    print(f"{', '.join(models)}: {pictures} pictures, {CORES} cores, load {os.getloadavg()[0]:.1f}")
    row = "{:>6} {:>9} {:>10} {:>6} {:>11} {:>12} {:>14}"
    print(row.format("round", "bare/s", "judged/s", "ratio", "bare CPU ms", "judged CPU ms", "ratio"))
    rounds = []
    for number in range(1, options.rounds + 1):
        best = max(bare(models, CORES, 1), bare(models, 1, CORES))
        found = judged(models, data)
        last = Round(best[0], found[0], best[1], found[1])
        rounds.append(last)
        figures = (f"{last.bare:.1f}", f"{last.judged:.1f}", f"{last.by_wall:.2f}")
        used = (f"{last.bare_ms:.2f}", f"{last.judged_ms:.2f}", f"{last.by_processor:.2f}")
        print(row.format(number, *figures, *used), flush=True)
    wall = statistics.median(r.by_wall for r in rounds)
    processor = statistics.median(r.by_processor for r in rounds)
    print(row.format("median", "", "", f"{wall:.2f}", "", "", f"{processor:.2f}"))
    spent = stages(models, data)
    whole = sum(spent.values())
    print("CPU ms a picture, one thread:")
    for stage, value in spent.items():
        print(f"  {stage:14}{value:8.2f}{value / whole:7.0%}")
    if options.json:
        content = {
            "models": list(models),
            "pictures": pictures,
            "machine": bench.machine(),
            "load": os.getloadavg()[0],
            "rounds": [asdict(r) for r in rounds],
            "by_wall": round(wall, 3),
            "by_processor": round(processor, 3),
            "stages_ms": {stage: round(value, 3) for stage, value in spent.items()},
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--models", nargs="+", help="of the work folder; all, if not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
