"""What every step is, and what it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from converters.work import Work

Advance = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Option:
    """One option of a step: a key of its table in a recipe and a flag of its command.

    Attributes:
        name: key in TOML (``max_drop``); the flag has dashes (``--max-drop``).
        kind: ``str``, ``int``, ``float``, ``bool`` or ``Path``.
        default: used where nothing is said; None means "not said".
        help: one line.
        many: a list of them; the flag may be repeated.
        choices: the only values, if any.
    """

    name: str
    kind: type
    default: Any
    help: str
    many: bool = False
    choices: tuple[str, ...] = ()


class Report(Protocol):
    """Where a step says what it does; for people."""

    def line(self, text: str) -> None:
        """A line about a result."""

    def warn(self, text: str) -> None:
        """A line about something that is likely wrong."""

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        """A progress bar while inside: ``advance(done, total)``."""


def show_table(report: Report, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people: drawn where the report can draw, else in lines.

    Columns of numbers, with their units or not, are set to the right.
    """
    own: Callable[[Sequence[str], Sequence[Sequence[object]]], None] | None = getattr(report, "table", None)
    if own is not None:
        own(columns, rows)
        return
    for line in table_lines(columns, rows):
        report.line(line)


def numbers(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    """Of each column, whether it holds numbers: with a sign or unit (``-1.1``, ``2.74 MB``), or nothing."""
    texts = [[str(row[i]) for row in rows] for i in range(len(columns))]
    return [any(cells) and all(not cell or _NUMBER.fullmatch(cell) for cell in cells) for cells in texts]


_NUMBER = re.compile(r"[-+]?[\d.]+( ?(%|[A-Za-z]{1,3}))?")


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table as lines of text, indented by two."""
    right = numbers(columns, rows)
    texts = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    lines = []
    for row in texts:
        cells = zip(row, widths, right, strict=True)
        lines.append("  " + "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in cells).rstrip())
    return lines


class Step(Protocol):
    """A step, made anew for each run. The module of a step must be quick to import.

    Attributes:
        name: as in :data:`converters.steps.STEPS`.
        options: what it takes; keys of the job (:class:`converters.job.Job`) are filled in from it.
        always: run it also where the quality gate of an earlier step has failed.
    """

    name: str
    options: tuple[Option, ...]
    always: bool

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        """The files and folders that the result depends on."""

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Do it; see the step's own docstring.

        Returns:
            Its figures, as JSON; under the key ``files`` the names of what it has written.

        Raises:
            QualityError: a gate was not met; the figures are in the work folder nevertheless.
        """
