"""Which model a step works on, where earlier steps make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from converters.steps.base import Step
from converters.work import Work

#: the steps that make a model, in order, and its name in the work folder
CHAIN = {
    "train": "trained.keras",
    "distill": "distilled.keras",
    "prune": "pruned.keras",
    "qat": "qat.keras",
}
MODEL = "model"
TEACHER = "teacher"


def link(
    work: Work, planned: Sequence[tuple[Step, Mapping[str, Any]]]
) -> list[tuple[Step, Mapping[str, Any]]]:
    """Fill the option ``model`` of each step with what the nearest step before it makes, and a ``teacher``
    that is the name of a step with what that makes.

    A step that is run alone in a work folder takes what the last step before it has made there.

    Args:
        work: the work folder.
        planned: the steps with all their options; where nothing is made before, they keep their model.
    """
    current = _made_before(work, planned[0][0].name) if len(planned) == 1 else ""
    out: list[tuple[Step, Mapping[str, Any]]] = []
    for step, options in planned:
        takes = any(option.name == MODEL for option in step.options)
        filled = {MODEL: current} if current and takes else {}
        if options.get(TEACHER) in CHAIN:
            filled[TEACHER] = str(work.path(CHAIN[options[TEACHER]]))
        out.append((step, {**options, **filled}))
        if step.name in CHAIN:
            current = str(work.path(CHAIN[step.name]))
    return out


def _made_before(work: Work, name: str) -> str:
    before = list(CHAIN) if name not in CHAIN else list(CHAIN)[: list(CHAIN).index(name)]
    done = [step for step in before if work.figures(step) is not None and work.path(CHAIN[step]).exists()]
    return str(work.path(CHAIN[done[-1]])) if done else ""
