"""Whether the feed keeps up with the training, and memory stays flat: ``python benchmarks/training.py``.

Needs the environment with TensorFlow. Pictures are generated and written as JPEG files; the same network
learns from them in memory as one array, through the feed's memory, and decoded anew for each batch.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from converters.training.plan import Plan


class Quiet:
    """A report that nobody reads."""

    def line(self, text: str) -> None:
        pass

    warn = line

    @contextmanager
    def progress(self, what: str) -> Iterator[Any]:
        yield lambda done, total: None


def write(folder: Path, count: int, side: int) -> None:
    from PIL import Image as pil

    rng = np.random.default_rng(0)
    for number in range(count):
        target = folder / f"class{number % 10}"
        target.mkdir(exist_ok=True, parents=True)
        small = rng.integers(0, 256, (side // 4, side // 4, 3), np.uint8)
        pil.fromarray(small).resize((side, side)).save(target / f"{number}.jpg", quality=90)


def resident() -> float:
    """MB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--precision", default="float32")
    return parser.parse_args()


def main() -> None:
    said = arguments()
    plan = Plan(batch=125, epochs=said.epochs, precision=said.precision)

    from converters import dataset
    from converters.training import feed, jobs, networks, precision, schedule, trainers

    jobs.begin(plan)
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), said.pictures, said.side)
        data = dataset.load(Path(name))
        shape = (said.side, said.side, 3)
        feeds = {
            "memory": feed.open_feeds(data, shape, plan, Quiet()).train,
            "decoded anew": feed.open_feeds(
                data, shape, Plan(batch=125, precision=said.precision, cache_mb=0), Quiet()
            ).train,
        }
        batches = list(feeds["memory"].epoch(0))
        model = networks.build("plain", 10, shape[:2], widths=(32, 64, 128))
        trainer = trainers.Trainer(precision.working(model, plan.precision), plan)
        steps = said.epochs * len(batches) * 4
        trainer.compile(
            optimizer=schedule.optimizer(plan, steps, plan.rate), loss=trainers.loss(plan), jit_compile=False
        )
        trainer.train_on_batch(*batches[0])
        shown = len(batches) * plan.batch
        best: dict[str, float] = {}
        sizes = []
        # By turns, so that what else the machine does falls on all of them.
        for number in range(said.epochs):
            ways = {"one array": iter(batches), **{kind: made.epoch(number) for kind, made in feeds.items()}}
            for kind, way in ways.items():
                began = time.perf_counter()
                for batch in way:
                    trainer.train_on_batch(*batch)
                best[kind] = max(best.get(kind, 0.0), shown / (time.perf_counter() - began))
            sizes.append(resident())
    told(best, sizes)


def told(best: dict[str, float], sizes: list[float]) -> None:
    for kind, rate in best.items():
        print(f"{kind:14} {rate:7.0f} pictures a second, {rate / best['one array']:.2f} of one array")
    print("memory after each round, MB:", ", ".join(f"{size:.0f}" for size in sizes))


if __name__ == "__main__":
    main()
