"""``data``: find the pictures, check every one, split them, show what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.steps.base import Option, Report, show_table
from converters.work import Work
from edgecam.errors import UsageError

if TYPE_CHECKING:
    from converters.dataset import Dataset

FILE = "data.json"
_SHOWN = 5
_BAR = 24  # characters of the longest bar
_BARS = 30  # more classes than this are summed up

#: kind of a problem -> what to call many of them
KINDS = {
    "unreadable": "cannot be read",
    "duplicate": "are copies of others",
    "conflict": "have two labels",
    "leak": "are in two parts of the split",
    "near": "groups of nearly the same pictures",
    "box": "with boxes that are no good",
    "few": "classes that cannot be judged",
}


class DataStep:
    """Writes ``data.json``, the split.

    Figures: ``task``, ``names``, ``fingerprint``, ``counts`` (part -> a number for each name), ``pictures``
    (part -> number), ``problems`` (kind -> number).
    """

    name = "data"
    options = (
        Option("data", str, "", "Pictures: a folder for each class, a CSV or COCO JSON file, or YOLO text."),
        Option("task", str, "", "classify or detect; empty to tell by the data."),
        Option("labels", str, "", "The model's labels, one a line; empty where they are the data's classes."),
        Option("seed", int, 0, "Another number gives another split."),
        Option("fractions", float, (0.7, 0.15, 0.15), "Parts for training, validation and test.", many=True),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield from (Path(options[key]) for key in ("data", "labels") if options[key])
        if options["data"]:
            yield from listed(Path(options["data"]))

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: see :func:`converters.dataset.load`.
        """
        from converters import dataset
        from converters.files import write_whole
        from edgecam import labels

        if not options["data"]:
            raise UsageError("no pictures are named", "add --data FOLDER")
        names = labels.read(Path(options["labels"])) if options["labels"] else None
        with report.progress("pictures") as advance:
            data = dataset.load(
                Path(options["data"]),
                task=options["task"] or None,
                seed=options["seed"],
                fractions=options["fractions"],
                names=names,
                progress=advance,
            )
        write_whole(work.path(FILE), data.to_json().encode())
        report.line(totals(data))
        rows, rest = histogram(data)
        show_table(report, ("class", "", *data.parts()), rows)
        if rest:
            report.line(rest)
        for line in problem_lines(data):
            report.warn(line)
        return {
            "task": data.task,
            "names": list(data.names),
            "fingerprint": data.fingerprint,
            "counts": data.counts(),
            "pictures": {part: len(samples) for part, samples in data.parts().items()},
            "problems": dict(Counter(problem.kind for problem in data.problems)),
            "files": [FILE],
        }


def listed(source: Path) -> list[Path]:
    """The pictures that a CSV or COCO file names: they may lie anywhere, and change under the list."""
    lists = [source] if source.is_file() else [*source.glob("*.csv"), *source.glob("*.json")]
    if not lists:
        return []
    from converters.data import build

    return [entry.path for entry in build.listing(source).entries]


def totals(data: Dataset) -> str:
    """How many pictures there are, in one line."""
    parts = "  ".join(f"{part} {len(samples)}" for part, samples in data.parts().items())
    shown = sum(any(numbers) for numbers in zip(*data.counts().values(), strict=True))
    return f"{sum(map(len, data.parts().values()))} pictures ({parts}), {shown} classes"


def histogram(data: Dataset) -> tuple[list[tuple[object, ...]], str]:
    """The class histogram: a name, a bar and three numbers a class; and what is not shown of it, in words."""
    counts = data.counts()
    what = "pictures" if data.task == "classify" else "objects"
    rows = [
        (name, *numbers) for name, *numbers in zip(data.names, *counts.values(), strict=True) if any(numbers)
    ]
    most = max((sum(row[1:]) for row in rows), default=0)
    shown = rows if len(rows) <= _BARS else sorted(rows, key=lambda row: -sum(row[1:]))[:_BARS]
    drawn: list[tuple[object, ...]] = [
        (name[:30], "█" * max(1, round(_BAR * sum(numbers) / most)), *numbers) for name, *numbers in shown
    ]
    if len(shown) == len(rows):
        return drawn, ""
    rest = sum(sum(row[1:]) for row in rows) - sum(sum(row[1:]) for row in shown)
    return drawn, f"  and {len(rows) - len(shown)} rarer classes with {rest} {what}"


def problem_lines(data: Dataset) -> list[str]:
    """What is wrong with the data: the first few of each kind by name, then how many there are.

    Groups of nearly the same pictures are no fault, and a burst of a camera gives hundreds: they are counted.
    """
    lines = []
    for kind, what in KINDS.items():
        found = [problem for problem in data.problems if problem.kind == kind]
        shown = _SHOWN
        if kind == "near":
            lines += [str(problem) for problem in found if not problem.path]  # about the data as a whole
            found, shown = [problem for problem in found if problem.path], 1
        lines += [str(problem) for problem in found[:shown]]
        if len(found) > shown:
            lines.append(f"and {len(found) - shown} more: {len(found)} {what} (all are in {FILE})")
    return lines
