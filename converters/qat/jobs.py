"""What the step ``qat`` does, in the process that has TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters.pruning import sparse
from converters.qat import folding, learnt, simulate
from converters.qat.learnt import BEFORE, RANGES
from converters.shrinking import Shrinking, said_of
from converters.steps.base import Report
from converters.training import files, processor
from converters.work import Work
from edgecam.errors import UsageError

FOLDER = "qat"


def qat(report: Report, *, work: str, options: Mapping[str, Any], mark: str, out: str) -> dict[str, Any]:
    """Fine-tune a trained classifier for int8; the step ``qat``.

    Args:
        report: hears what happens.
        work: the work folder, which holds the split.
        options: of the step.
        mark: stands for all that the result depends on.
        out: name of the model in the work folder.

    Returns:
        The step's figures.
    """
    _check(options)
    folder = Work(Path(work))
    task = Shrinking(folder, {**options, "precision": "float32"}, report)
    folded = folding.fold(task.model)
    network = simulate.simulated(folded, options["momentum_of_ranges"])
    with report.progress("ranges of all tensors") as advance:
        advance(0, None)
        simulate.watch(network, task.batches(options["pictures"]))
    before, rounded = task.accuracy(task.model), task.accuracy(network)
    if before:
        report.line(
            f"before: right {_percent(before)} in float, {_percent(rounded)} rounded to int8 without training"
        )
    with sparse.still_zero(network):  # after unstructured pruning
        fitted = task.fine_tune(network, options["epochs"], folder.path(FOLDER), mark, itself=True)
    tuned = task.accuracy(network)
    if tuned:
        report.line(f"after: right {_percent(tuned)} rounded to int8")
    ranges = simulate.ranges(network)
    note = {**task.note, RANGES: ranges, BEFORE: learnt.mark(Path(options["model"]))}
    files.save_model(simulate.plain(network, folded), folder.path(out), note)
    files.remove(folder.path(FOLDER))
    return {
        "float": before,
        "rounded": rounded,
        "tuned": tuned,
        "ranges": ranges,
        **said_of(fitted),
        "parameters": int(folded.count_params()),
        "network": task.model.name,
        "plan": asdict(task.plan),
        "files": [out],
    }


def _check(options: Mapping[str, Any]) -> None:
    if options["precision"] not in ("float32", processor.AUTO):
        raise UsageError(
            f"precision = {options['precision']}: rounding to int8 is simulated in float32", "leave it out"
        )
    if not 0 <= options["momentum_of_ranges"] < 1 or options["pictures"] < 1:
        raise UsageError(
            "momentum_of_ranges not from 0 to 1, or pictures below 1", "leave them at 0.99 and 512"
        )


def _percent(found: Mapping[str, Any]) -> str:
    return f"{100 * found['accuracy']:.1f}%"
