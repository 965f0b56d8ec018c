"""Runs the steps of a recipe in a work folder and passes over what is done already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from converters import job as jobs
from converters import steps
from converters.job import Job
from converters.recipes import Planned
from converters.steps.base import Option, Report, Step
from converters.training import chain
from converters.work import Work
from edgecam import __version__
from edgecam.errors import ConfigError, QualityError

GATE = "gate_failed"


def run(work: Work, job: Job, planned: Sequence[Planned], report: Report, *, again: bool = False) -> None:
    """Run the steps in order.

    A step that fails ends the run; what is done stays done. A quality gate that is not met ends it too, but
    the steps that run ``always`` (the report) are run first.

    Args:
        work: where everything goes.
        job: what is converted; it is noted in the work folder.
        planned: the steps.
        report: hears what happens.
        again: run also what is done already.

    Raises:
        QualityError: a gate was not met.
        EdgecamError: whatever a step raises.
    """
    loaded = [(steps.load(plan.step), plan.options) for plan in planned]
    given = chain.link(
        work, [(step, _resolved(work, complete(step, job, options))) for step, options in loaded]
    )
    with work.alone():
        jobs.save(work, job)
        failed: QualityError | None = None
        for step, options in given:
            if failed is not None and not getattr(step, "always", False):
                continue
            try:
                _run_one(work, step, options, report, again)
            except QualityError as error:
                failed = failed or error
        if failed is not None:
            raise failed


def _run_one(work: Work, step: Step, options: Mapping[str, Any], report: Report, again: bool) -> None:
    mark = work.fingerprint(step.name, options, step.inputs(work, options), __version__)
    if not again and work.done(step.name, mark):
        report.line(f"{step.name}: done already")
        figures = work.figures(step.name) or {}
    else:
        work.forget(step.name)
        figures = dict(step.run(work, options, report))
        files = figures.pop("files", ())
        # Once more: what the step has read it may also have written (the list of variants).
        mark = work.fingerprint(step.name, options, step.inputs(work, options), __version__)
        work.finish(step.name, mark, figures, files)
    if figures.get(GATE):
        remedy = figures.get("gate_remedy") or f"see {work.path('report.html')}, or allow it by --max-drop"
        raise QualityError(str(figures[GATE]), str(remedy))


def complete(step: Step, job: Job, said: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a step: what is said, else what the job says, else the default.

    Raises:
        ConfigError: a value is of the wrong type or not among the choices.
    """
    known = asdict(job)
    out = {}
    for option in step.options:
        value = said.get(option.name)
        if value is None and option.name in known and known[option.name] not in ("", ()):
            value = known[option.name]
        out[option.name] = option.default if value is None else _checked(step.name, option, value)
    return out


def _resolved(work: Work, options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: work.resolve(value) if isinstance(value, str) else value for key, value in options.items()}


def _checked(step: str, option: Option, value: Any) -> Any:
    if option.many:
        values = value if isinstance(value, list | tuple) else [value]
        return [_single(step, option, item) for item in values]
    return _single(step, option, value)


def _single(step: str, option: Option, value: Any) -> Any:
    kind = option.kind
    # A bool is an int to Python, and a path in JSON and TOML is text.
    if kind.__name__ == "Path" and isinstance(value, str):
        kind = str
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(
            f"{step}: {option.name} = {value!r}", f"give a value of type {option.kind.__name__}"
        )
    if option.choices and value not in option.choices:
        raise ConfigError(f"{step}: {option.name} = {value!r}", f"one of {', '.join(option.choices)}")
    return str(value) if option.kind.__name__ == "Path" else value
