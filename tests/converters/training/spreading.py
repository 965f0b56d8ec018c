"""One small training with JAX in a process of its own: ``python -m tests.converters.training.spreading FOLDER
JSON``.

JSON holds options of the step ``train``. The model goes to ``FOLDER/model.keras``, the losses to
standard output.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

from converters.training import files, jobs, networks, spread
from converters.training.feed import JudgeFeed, TrainFeed
from converters.training.fit import fit
from converters.training.judging import classifier_judge
from edgecam.errors import EdgecamError
from tests.converters.training.pictures import NAMES, Memory, Remembering


def main(folder: Path, settings: dict[str, Any]) -> None:
    report = Remembering()
    plan = jobs.begin({"backend": "jax", **settings}, report)
    model = networks.build("plain", 3, widths=(8, 8, 8), dropout=0.2)
    pictures: Any = Memory(48)
    feed = TrainFeed(pictures, plan, 3)
    judge = classifier_judge(JudgeFeed(Memory(20, seed=2), 15), NAMES)  # type: ignore[arg-type]
    done = fit(model, spread.shared(feed, feed.batch), plan, folder, report, mark="test", judge=judge)
    files.save_model(model, folder / "model.keras", {"names": NAMES})
    losses = [row["loss"] for row in done.history]
    print(
        json.dumps({"losses": losses, "seen": done.history[-1]["validation"]["loss"], "said": report.lines})
    )


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except EdgecamError as error:
        sys.exit(str(error))
