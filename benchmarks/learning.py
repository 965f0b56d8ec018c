"""How fast networks learn here, against what Keras makes of them: ``python benchmarks/learning.py``.

Needs the environment with TensorFlow. Steps on random pictures, by turns as Keras computes them and as
:mod:`converters.training.precision` does: batch normalisation in one operation, strided depthwise
convolutions never in bfloat16. The ratio is that of the quickest steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from training import Quiet

from converters.training.plan import Plan
from converters.training.processor import settled

SIDE, CLASSES = 32, 10


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=["resnet", "squeezenet", "mobilenet_v2", "plain"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6, help="of each kind")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", default="auto")
    return parser.parse_args()


@contextmanager
def as_keras_does() -> Iterator[None]:
    from converters.training import fused, precision

    with (
        mock.patch.object(fused, "config", lambda value: value),
        mock.patch.object(precision, "_strided_depthwise", lambda value: False),
    ):
        yield


def trainer(name: str, plan: Plan) -> Any:
    from converters.training import networks, precision, schedule, trainers

    network = networks.build(name, CLASSES, (SIDE, SIDE))
    made = trainers.Trainer(precision.working(network, plan.precision), plan)
    made.compile(
        optimizer=schedule.optimizer(plan, 1000, plan.rate), loss=trainers.loss(plan), jit_compile=False
    )
    return made


def main() -> None:
    said = arguments()
    plan = settled(Plan(batch=said.batch, threads=said.threads, precision=said.precision), Quiet())
    print(plan.precision)
    from converters.training import jobs

    jobs.begin(plan)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (said.batch, SIDE, SIDE, 3), np.uint8)
    y = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, said.batch)]
    for name in said.networks:
        with as_keras_does():
            made = {"keras": trainer(name, plan)}
        made["here"] = trainer(name, plan)
        for one in made.values():
            one.train_on_batch(x, y)
        times: dict[str, list[float]] = {kind: [] for kind in made}
        # By turns, so that what else the machine does falls on both.
        for _ in range(said.steps):
            for kind, one in made.items():
                began = time.perf_counter()
                one.train_on_batch(x, y)
                times[kind].append(time.perf_counter() - began)
        rates = {kind: said.batch / min(found) for kind, found in times.items()}
        print(
            f"{name:14} {rates['keras']:6.0f} pictures a second as Keras computes,"
            f" {rates['here']:6.0f} here: {rates['here'] / rates['keras']:.2f} times as fast",
            flush=True,
        )


if __name__ == "__main__":
    main()
