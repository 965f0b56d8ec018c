"""``report``: one page with figures and pictures, and the same as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.work import FIGURES, Work

HTML = "report.html"
MARKDOWN = "report.md"
_TOLD = ("data", "quantize", "evaluate", "edgetpu", "train", "distill", "prune", "qat")


class ReportStep:
    """Writes ``report.html`` and ``report.md``. Figures: ``bytes`` of the page.

    It runs also where the gate was not met: then it is needed most.
    """

    name = "report"
    options = (Option("name", str, "", "Title of the report."), Option("model", str, "", "The model."))
    always = True

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield from (work.path(f"{FIGURES}/{step}.json") for step in _TOLD)

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: nothing has been judged yet.
        """
        from converters.files import write_whole
        from converters.reporting import markdown, page
        from converters.reporting.story import gather

        title = options["name"] or Path(options["model"]).stem or work.root.name
        story = gather(title, {step: work.figures(step) for step in _TOLD}, work.root)
        with report.progress("writing the report") as advance:
            advance(0, None)
            content = page.render(story).encode()
            write_whole(work.path(HTML), content)
            write_whole(work.path(MARKDOWN), markdown.render(story).encode())
        report.line(f"report: {work.path(HTML)}")
        return {"bytes": len(content), "files": [HTML, MARKDOWN]}
