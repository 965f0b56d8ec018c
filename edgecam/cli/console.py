"""Lines, tables and progress: rich on a terminal, plain text elsewhere.

What a program may read (tables, JSON) goes to standard output; what only a person reads, to standard error.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgecam import journal
from edgecam.cli.base import is_quiet

Advance = Callable[[int, int | None], None]


def line(text: str) -> None:
    """One line for the person, unless ``--quiet``."""
    if not is_quiet() and not journal.send(text):
        print(text, file=sys.stderr, flush=True)


def error(text: str) -> None:
    """One line for the person, even with ``--quiet``."""
    if not journal.send(text, journal.ERROR):
        print(text, file=sys.stderr, flush=True)


def to_json(value: object) -> str:
    """Indented JSON, lists of numbers on one line."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # Only layout can match: inside of a JSON string a line break is escaped.
    return re.sub(r"\[\n[-+.eE\d,\s]+\]", lambda match: " ".join(match[0][1:-1].split()).join("[]"), text)


def write_json(value: object) -> None:
    print(to_json(value))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """A table on standard output. Columns whose cells are all numbers are set to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = _numbers(columns, rows)
    if sys.stdout.isatty():
        _rich_table(title, columns, cells, right)
    else:
        _plain_table(title, columns, cells, right)


def rich_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Sequence[bool],
    stderr: bool = False,
) -> None:
    """A drawn table, for a stream that is a terminal; ``right`` says which columns are set to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    _rich_table("", columns, cells, right, stderr)


def _numbers(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    """Of each column, whether all its cells are numbers."""
    return [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _rich_table(
    title: str,
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: Sequence[bool],
    stderr: bool = False,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, numbers in zip(columns, right, strict=True):
        out.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        out.add_row(*map(Text, row))
    Console(stderr=stderr).print(out)


def _plain_table(
    title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    lines = [list(columns), *map(list, cells)]
    widths = [max(len(row[i]) for row in lines) for i in range(len(columns))]
    if title:
        print(title)
    for row in lines:
        parts = [
            text.rjust(width) if numbers else text.ljust(width)
            for text, width, numbers in zip(row, widths, right, strict=True)
        ]
        print("  ".join(parts).rstrip())


@contextlib.contextmanager
def progress(what: str, *, unit: str = "") -> Iterator[Advance]:
    """A progress bar on standard error while inside; none where that is no terminal, or with ``--quiet``.

    Yields:
        ``advance(done, total)``, total None where it is not known; the bar appears with the first call.
        ``unit="bytes"`` shows sizes.
    """
    if not sys.stderr.isatty() or is_quiet():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts: list[Any] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    columns = [TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn()]
    # Standard output stays what it is: rich would send it to the bar's own stream, away from its reader.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    task = bar.add_task(what, total=None)

    def advance(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total)
        bar.start()

    try:
        yield advance
    finally:
        bar.stop()
