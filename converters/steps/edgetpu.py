"""``edgetpu``: what of the final file would run on an Edge TPU, and the file compiled for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import variants
from converters.steps.base import Option, Report
from converters.work import Work
from edgecam.errors import EdgecamError, UsageError

if TYPE_CHECKING:
    from converters.edgetpu.check import Readiness
    from converters.edgetpu.compiler import Log

_SUFFIX = "_edgetpu"  # the compiler's own


class EdgeTpuStep:
    """Checks operator by operator by the documented rules; with the compiler at hand writes
    ``NAME_edgetpu.tflite``, contract and golden samples with it.

    Figures: ``summary`` (one line), ``checked`` (:class:`converters.edgetpu.check.Readiness`), ``compiled``
    (:class:`converters.edgetpu.compiler.Log`, None without the compiler), ``gate_failed`` where operators do
    not run on the Edge TPU that must.
    """

    name = "edgetpu"
    options = (
        Option(
            "require", str, "", "Fail unless all operators, or any, run on it.", choices=("", "any", "all")
        ),
        Option("compiler", str, "", "The edgetpu_compiler, if it is not on the PATH."),
        Option("timeout", int, 180, "Seconds that it may take."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path(_file(work))
        # Installed since, it makes a difference.
        found = _compiler(options["compiler"])
        if found is not None:
            yield found

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: there is no model yet.
            ModelError: the compiler refuses the model.
            EdgecamError: the compiler is named but does not work.
        """
        from converters.edgetpu import check

        file = _file(work)
        checked = check.check(work.path(file).read_bytes())
        for name, count, word in checked.rows():
            report.line(f"  {name:24} {count:4}  {word}")
        log, target = _compiled(work, file, options, report)
        summary = log.summary if log else checked.summary
        report.line(f"{target or file}: {summary}")
        figures: dict[str, Any] = {
            "summary": summary,
            "file": file,
            "checked": checked.as_dict(),
            "compiled": log.as_dict() if log else None,
            "files": [target] if target else [],
        }
        reason = _missed(options["require"], log or checked)
        if reason:
            figures["gate_failed"] = f"{file}: {reason}"
            figures["gate_remedy"] = "see above which operators stay on the CPU, or allow it by --require any"
        return figures


def _file(work: Work) -> str:
    """The final file, or the variant that would become it."""
    embedded = work.figures("embed")
    if embedded is not None:
        return str(embedded["file"])
    judged = work.figures("evaluate") or {}
    made = {variant.recipe: variant.file for variant in variants.read(work)} | judged.get("paths", {})
    if not made:
        raise UsageError(f"{work.root} holds no variants yet", "run the step quantize first")
    return str(made[judged.get("chosen") or next(iter(made))])


def _compiler(path: str) -> Path | None:
    from converters.edgetpu import compiler

    try:
        return compiler.find(path)
    except EdgecamError:
        return None


def _compiled(work: Work, file: str, options: Mapping[str, Any], report: Report) -> tuple[Log | None, str]:
    """The compiler's log and the file's name; (None, "") where there is no compiler."""
    from converters import passport
    from converters.edgetpu import compiler
    from converters.files import write_whole

    try:
        program = compiler.find(options["compiler"])
    except EdgecamError as error:
        if options["compiler"]:
            raise
        report.warn(f"not compiled: {error}")
        return None, ""
    source = work.path(file).read_bytes()
    with report.progress("compiling for the Edge TPU") as advance:
        advance(0, None)
        data, log = compiler.run(program, source, options["timeout"])
    for row in log.rows:
        if not row.mapped:
            report.line(f"  {row.name:24} {row.count:4}  {row.status}")
    target = f"{Path(file).stem}{_SUFFIX}.tflite"
    write_whole(work.path(target), passport.carry_over(source, data))
    return log, target


def _missed(require: str, found: Log | Readiness) -> str:
    if require == "all" and found.on_cpu:
        return f"{found.summary}; the recipe wants all on the Edge TPU"
    if require == "any" and not found.on_tpu:
        return f"{found.summary}; the recipe wants some on the Edge TPU"
    return ""
