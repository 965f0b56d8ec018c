"""What the step ``prune`` does, in the process that has TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from converters import layergraph
from converters.pruning import cost
from converters.pruning.channels import trace
from converters.pruning.choose import Limits
from converters.pruning.rounds import Epochs, Rounds
from converters.pruning.sparse import Sparse
from converters.pruning.structured import Structured, Target
from converters.shrinking import Shrinking
from converters.steps.base import Report
from converters.training import files, mirror
from converters.work import Work
from edgecam.errors import UsageError

FOLDER = "pruning"
_TO_CONVERT = 8  # pictures


def prune(report: Report, *, work: str, options: Mapping[str, Any], mark: str, out: str) -> dict[str, Any]:
    """Prune a trained classifier; the step ``prune``.

    Args:
        report: hears what happens.
        work: the work folder, which holds the split.
        options: of the step.
        mark: stands for all that the result depends on.
        out: name of the model in the work folder.

    Returns:
        The step's figures.
    """
    folder = Work(Path(work))
    target = _target(options)
    task = Shrinking(folder, options, report)
    full = cost.of(trace(task.graph)).macs
    method = _method(task, options, target, full)
    epochs = Epochs(
        options["epochs"],
        options["final_epochs"],
        options["slim_epochs"],
        options["slim"],
        options["by"] == "gamma",
    )
    network, rows = Rounds(task, method, epochs, folder.path(FOLDER), mark).run()
    left = cost.of(trace(layergraph.read(network)))
    looks = 1
    if options["mirror"]:
        looks = mirror.LOOKS
        network, _ = mirror.kept(network, task.accuracy, report)
    files.save_model(network, folder.path(out), {**task.note, mirror.KEY: looks})
    files.remove(folder.path(FOLDER))
    return {
        "kind": "unstructured" if target is None else "structured",
        "by": options["by"] if target is not None else "magnitude",
        "target": asdict(target) if target is not None else {"kind": "zeros", "wanted": options["sparsity"]},
        "met": method.met(rows[-1]["reached"]),
        "rounds": rows,
        "history": _history(rows),
        "seconds": round(sum(row["fit"]["seconds"] for row in rows if "fit" in row), 2),
        "network": task.model.name,
        "before": {"macs": full, "parameters": rows[0]["parameters"]},
        "macs": looks * left.macs,
        "parameters": left.parameters,
        "plan": asdict(task.plan),
        "files": [out],
    }


def _history(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The epochs of all rounds, numbered through."""
    out: list[dict[str, Any]] = []
    for row in rows:
        for epoch in row["fit"].pop("history") if "fit" in row else ():
            out.append({**epoch, "epoch": len(out) + 1, "round": row["round"]})
    return out


def _target(options: Mapping[str, Any]) -> Target | None:
    """Where structured pruning is to end, None for zeros.

    Raises:
        UsageError: several targets, or one that makes no sense.
    """
    said = {key: options[key] for key in ("to_kb", "to_ms", "sparsity") if options[key]}
    if len(said) > 1:
        raise UsageError(f"several targets: {', '.join(said)}", "name one")
    for name, value in said.items():
        if not 0 < value < (1 if name == "sparsity" else np.inf):
            raise UsageError(f"{name} = {value:g}", "name a share below 1, or a size above 0")
    if options["rounds"] < 1:
        raise UsageError(f"rounds = {options['rounds']}", "one at the least")
    if "sparsity" in said:
        return None
    for name in ("to_kb", "to_ms"):
        if name in said:
            return Target(name.removeprefix("to_"), said[name])
    if not 0 < options["to"] < 1:
        raise UsageError(f"to = {options['to']:g}", "name a share between 0 and 1, such as 0.5")
    return Target("macs", options["to"])


def _method(
    task: Shrinking, options: Mapping[str, Any], target: Target | None, full: int
) -> Structured | Sparse:
    pictures = next(task.batches(_TO_CONVERT))
    if target is None:
        return Sparse(options["sparsity"], options["rounds"], pictures)
    if not (options["floor"] >= 1 and options["multiple"] >= 1 and 0 <= options["least"] < 1):
        raise UsageError("floor and multiple below 1, or least not from 0 to 1", "leave them at 8, 8, 0.25")
    limits = Limits(options["floor"], options["least"], options["multiple"])
    return Structured(
        target,
        options["by"],
        limits,
        options["rounds"],
        options["seed"],
        lambda: task.batches(options["pictures"]),
        pictures,
        full,
    )
