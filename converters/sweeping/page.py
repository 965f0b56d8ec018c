"""The report of a sweep: what none beats, a plot of all, every variant; as HTML and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from converters.reporting.document import document
from converters.reporting.story import megabytes, milliseconds, percent
from converters.reporting.svg import Drawing, Scale, width_of
from converters.sweeping.pareto import Point

COLUMNS = ("variant", "model", "right", "ms", "kB", "compressed", "M MACs", "parameters")
_MARGIN = 0.08


@dataclass(frozen=True)
class Story:
    """
    Attributes:
        title: of the sweep.
        points: all that was judged.
        front: those that none beats.
        results: variant -> what its task found.
        machine: on which latencies were measured, see :func:`edgecam.bench.machine`.
    """

    title: str
    points: tuple[Point, ...]
    front: tuple[Point, ...]
    results: Mapping[str, Mapping[str, Any]]
    machine: Mapping[str, Any]


def row(point: Point) -> tuple[object, ...]:
    """A line of a table."""
    return (
        point.variant,
        point.model,
        percent(point.accuracy),
        f"{point.ms:.3f}",
        f"{point.bytes / 1000:.1f}",
        f"{point.compressed / 1000:.1f}",
        f"{point.macs / 1e6:.1f}",
        f"{point.parameters:,}",
    )


def render(story: Story) -> str:
    """The whole page; it needs nothing else."""
    parts = [
        f"<header><div><h1>{escape(story.title)}</h1>"
        f"<p class='lead'>{escape(_lead(story))}</p></div></header>",
        _section("What none beats", _table(story.front), _measured(story)) if story.front else "",
        _section("All of them", f"<div class='chart'>{plot(story)}</div>", _legend()) if story.points else "",
        _section("Every variant", _table(sorted(story.points, key=lambda p: -p.accuracy)))
        if story.points
        else "",
        _section("Failed", _failed(story)) if _errors(story) else "",
    ]
    return document(f"{story.title}: sweep", parts)


def markdown(story: Story) -> str:
    """The same without the plot."""
    lines = [f"# {story.title}", "", _lead(story), ""]
    for title, points in (("What none beats", story.front), ("Every variant", story.points)):
        lines += [f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
        lines += [f"| {' | '.join(map(str, row(point)))} |" for point in points] + [""]
    lines += [_measured(story), ""]
    lines += [f"- failed: {name}: {error}" for name, error in _errors(story).items()]
    return "\n".join(lines) + "\n"


def plot(story: Story) -> str:
    """Accuracy against latency, logarithmic; the area of a dot is the size of the file."""
    out = Drawing(720, 400, "accuracy against latency of all variants")
    left, right, top, bottom = 58.0, 696.0, 26.0, 350.0
    accuracies = [100 * point.accuracy for point in story.points]
    times = [max(point.ms, 1e-3) for point in story.points]
    spread = max(max(accuracies) - min(accuracies), 2.0)
    y = Scale(
        min(accuracies) - _MARGIN * spread, min(max(accuracies) + 2 * _MARGIN * spread, 101), bottom, top
    )
    x = Scale(min(times) / 1.4, max(times) * 1.8, left, right, logarithmic=True)
    for tick in y.ticks(6):
        out.line(left, y(tick), right, y(tick), "grid")
        out.text(left - 10, y(tick) + 4, f"{tick:g}%", "tick", "end")
    for tick in x.ticks():
        out.text(x(tick), bottom + 20, f"{tick:g}", "tick", "middle")
    out.line(left, bottom, right, bottom, "axis")
    out.text((left + right) / 2, bottom + 42, "milliseconds a picture, network alone", "name", "middle")
    out.path(
        [(x(max(p.ms, 1e-3)), y(100 * p.accuracy)) for p in sorted(story.front, key=lambda p: p.ms)], "front"
    )
    largest = max(point.bytes for point in story.points)
    for point in sorted(story.points, key=lambda point: -point.bytes):
        kind = "best" if point in story.front else "other"
        tip = f"{_name(point)}: {percent(point.accuracy)}, {milliseconds(point.ms)}, {megabytes(point.bytes)}"
        radius = 4 + 9 * math.sqrt(point.bytes / largest)
        out.dot(x(max(point.ms, 1e-3)), y(100 * point.accuracy), radius, f"dot {kind}", tip)
    _labels(out, story.front, x, y, right)
    return str(out)


def _labels(out: Drawing, points: Sequence[Point], x: Scale, y: Scale, right: float) -> None:
    """Names of those that none beats, from above; one that would cover another is left to its tip."""
    last = -math.inf
    for point in sorted(points, key=lambda point: -point.accuracy):
        at, words = (x(max(point.ms, 1e-3)), y(100 * point.accuracy)), _name(point)
        if at[1] - last < 14:
            continue
        last = at[1]
        fits = at[0] + 16 + width_of(words) < right
        out.text(at[0] + (16 if fits else -16), at[1] + 4, words, "label", "start" if fits else "end")


def _name(point: Point) -> str:
    return f"{point.variant} · {point.model}"


def _lead(story: Story) -> str:
    done = sum("error" not in found for found in story.results.values())
    failed = len(story.results) - done
    text = f"{done} variants tried, {len(story.points)} files judged; {len(story.front)} are beaten by none."
    return text + (f" {failed} failed." if failed else "")


def _measured(story: Story) -> str:
    cpu = story.machine.get("cpu", "an unknown machine")
    return (
        "None is beaten in accuracy, latency and size at once. Latency is the median of the network alone for"
        f" one picture, measured on {cpu}, one file after another, with no other task of the sweep at work."
    )


def _legend() -> str:
    return "Larger dots are larger files; the line joins what none beats."


def _section(title: str, body: str, note: str = "") -> str:
    said = f"<p class='note'>{escape(note)}</p>" if note else ""
    return f"<section class='card'><h2>{escape(title)}</h2>{said}{body}</section>"


def _table(points: Sequence[Point]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    cells = ["".join(f"<td>{escape(str(cell))}</td>" for cell in row(point)) for point in points]
    body = "".join(f"<tr>{line}</tr>" for line in cells)
    return f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>"


def _errors(story: Story) -> dict[str, str]:
    return {name: str(found["error"]) for name, found in story.results.items() if "error" in found}


def _failed(story: Story) -> str:
    lines = "".join(f"<li>{escape(name)}: {escape(error)}</li>" for name, error in _errors(story).items())
    return f"<ul class='reasons bad'>{lines}</ul>"
