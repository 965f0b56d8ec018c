"""One small training in a process of its own: ``python -m tests.converters.training.fitting FOLDER JSON``.

JSON holds fields of the plan, ``pictures``, how many, and ``kill``: (epoch, step) at which the process
kills itself. The weights go to ``FOLDER/weights.npz``, the history to standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from converters.training.feed import TrainFeed
from tests.converters.training.pictures import Memory, Remembering


class Deadly:
    """A feed that kills its own process."""

    def __init__(self, feed: TrainFeed, epoch: int, step: int) -> None:
        self._feed, self._epoch, self._step = feed, epoch, step

    @property
    def steps(self) -> int:
        return self._feed.steps

    def epoch(self, number: int) -> Iterator[Any]:
        for step, batch in enumerate(self._feed.epoch(number)):
            if (number, step) == (self._epoch, self._step):
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def main(folder: Path, settings: dict[str, Any]) -> None:
    from converters.training import jobs, networks
    from converters.training.fit import fit

    kill, pictures = settings.pop("kill", None), settings.pop("pictures", 120)
    report = Remembering()
    plan = jobs.begin(settings, report)
    model = networks.build("plain", 3, widths=(8, 8, 8), dropout=0.2)
    feed: Any = TrainFeed(Memory(pictures), plan, 3)  # type: ignore[arg-type]
    if kill:
        feed = Deadly(feed, *kill)
    done = fit(model, feed, plan, folder, report, mark="test")
    np.savez(folder / "weights.npz", *model.get_weights())
    print(json.dumps([row["loss"] for row in done.history]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
