"""Plots that stand by themselves: SVG files that GitHub shows, in its light and in its dark dress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.reporting.svg import Drawing, Scale, width_of

WIDTH = 760.0
#: Told apart by people who see no red or no green too (Okabe and Ito, 2008), a shade lighter.
COLOURS = ("#2f7fc1", "#e08a1e", "#1f9e78", "#b3589a", "#8a8f98", "#c8553d", "#6f74c9", "#86902f", "#4fb3bf")
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 14px; font-weight: 600; fill: #24292f }
.value { fill: #24292f }
.grid { stroke: #d0d7de; stroke-width: .6 }
.axis { stroke: #8c959f }
.target { stroke: #cf222e; stroke-dasharray: 4 3 }
.word { fill: #cf222e }
polyline { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #9aa4af }
.title, .value { fill: #e6edf3 }
.grid { stroke: #30363d }
.axis { stroke: #6e7681 }
.target { stroke: #ff7b72 }
.word { fill: #ff7b72 }
}
"""


def _whole(drawing: Drawing) -> str:
    colours = "".join(f".c{i} {{ fill: {c} }} .l{i} {{ stroke: {c} }}\n" for i, c in enumerate(COLOURS))
    head, _, rest = str(drawing).partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return f"{head}>{STYLE}{colours}</style>{rest}\n"


def bars(
    title: str,
    groups: Mapping[str, Mapping[str, float]],
    unit: str = "",
    *,
    target: float | None = None,
    digits: int = 2,
    stacked: bool = False,
) -> str:
    """Lying bars: for each group one a series, or one of all series on end.

    Args:
        groups: name of a group -> name of a series -> value.
        target: a line at this value.
        digits: after the point, of the values beside the bars.
    """
    series = list(dict.fromkeys(name for values in groups.values() for name in values))
    legend = _legend_rows(series)
    rows = sum(1 if stacked else max(len(values), 1) for values in groups.values())
    top = 34.0 + 18 * len(legend) * (len(series) > 1)
    height = top + rows * 20 + len(groups) * 8 + 34
    left = 16 + min(max(width_of(name) for name in groups), 250)
    longest = [sum(v.values()) if stacked else max(v.values(), default=0.0) for v in groups.values()]
    high = max([*longest, target or 0.0]) * 1.04 or 1.0
    out = Drawing(WIDTH, height, title)
    x = Scale(0, high, left, WIDTH - 76)
    _head(out, title, legend if len(series) > 1 else [], series)
    for tick in x.ticks(6):
        out.line(x(tick), top, x(tick), height - 34, "grid")
        out.text(x(tick), height - 18, f"{tick:g}", "", "middle")
    out.text(WIDTH - 8, height - 18, unit, "", "end")
    y = top + 4
    for name, values in groups.items():
        y = _group(out, x, y, left, name, values, series, digits, stacked)
    out.line(left, top, left, height - 34, "axis")
    if target is not None:
        out.line(x(target), top - 4, x(target), height - 34, "target")
        out.text(x(target), height - 4, f"wanted {target:g}", "word", "middle")
    return _whole(out)


def _group(
    out: Drawing,
    x: Scale,
    y: float,
    left: float,
    name: str,
    values: Mapping[str, float],
    series: Sequence[str],
    digits: int,
    stacked: bool,
) -> float:
    """One group from ``y`` on; where the next begins."""
    begins, start = y, 0.0
    for label, value in values.items():
        kind, tip = f"c{series.index(label) % len(COLOURS)}", f"{name}, {label}: {value:.{digits}f}"
        out.bar(x(start), y, x(start + value) - x(start), 15, kind, tip)
        if stacked:
            start += value
            continue
        out.text(x(value) + 5, y + 12, f"{value:.{digits}f}", "value")
        y += 20
    if stacked:
        out.text(x(start) + 5, y + 12, f"{start:.{digits}f}", "value")
        y += 20
    out.text(left - 8, (begins + y) / 2 + 2, name, "", "end")
    return y + 8


def lines(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    across: str,
    up: str,
    *,
    logarithmic: bool = False,
    target: float | None = None,
) -> str:
    """Lines over a scale.

    Args:
        series: name -> points (x, y).
        across, up: names of the scales.
        logarithmic: of the scale across.
        target: a line at this height.
    """
    xs = sorted({x for points in series.values() for x, _ in points})
    highest = max([y for points in series.values() for _, y in points] + [target or 0.0])
    legend = _legend_rows(list(series))
    top = 52.0 + 18 * len(legend)
    height = top + 260
    out = Drawing(WIDTH, height, title)
    x = Scale(xs[0], xs[-1], 62, WIDTH - 24, logarithmic and xs[0] > 0)
    y = Scale(0, highest * 1.06 or 1, height - 46, top)
    _head(out, title, legend, list(series))
    _scales(out, x, y, across, up, xs if len(xs) < 10 else x.ticks(8), y.ticks(5))
    for number, (name, points) in enumerate(series.items()):
        colour = number % len(COLOURS)
        out.path([(x(a), y(b)) for a, b in points], f"l{colour}")
        for a, b in points:
            out.dot(x(a), y(b), 3.5, f"c{colour}", f"{name}, {a:g}: {b:.2f}")
    out.line(62, y(0), WIDTH - 24, y(0), "axis")
    if target is not None:
        out.line(62, y(target), WIDTH - 24, y(target), "target")
        out.text(WIDTH - 26, y(target) - 5, f"wanted {target:g}", "word", "end")
    return _whole(out)


def scatter(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float, str]]],
    across: str,
    up: str,
) -> str:
    """Dots over a logarithmic scale.

    Args:
        series: name -> dots (x, y, what it is). The word stands beside a dot where there is room for it.
        across, up: names of the scales.
    """
    xs = [x for dots in series.values() for x, _, _ in dots]
    ys = [y for dots in series.values() for _, y, _ in dots]
    legend = _legend_rows(list(series))
    top = 52.0 + 18 * len(legend)
    height = top + 330
    out = Drawing(WIDTH, height, title)
    x = Scale(min(xs) / 1.3, max(xs) * 1.3, 62, WIDTH - 24, logarithmic=True)
    edge = 0.06 * (max(ys) - min(ys)) or 1.0
    y = Scale(min(ys) - edge, max(ys) + edge, height - 46, top)
    _head(out, title, legend, list(series))
    _scales(out, x, y, across, up, x.ticks(), y.ticks(6))
    taken = [(x(a) - 5, x(a) + 5, y(b)) for dots in series.values() for a, b, _ in dots]
    for number, dots in enumerate(series.values()):
        for a, b, word in dots:
            out.dot(x(a), y(b), 5, f"c{number % len(COLOURS)}", f"{word}: {b:.1f} at {a:.3g}")
            _beside(out, x(a), y(b), word, taken)
    out.line(62, height - 46, WIDTH - 24, height - 46, "axis")
    return _whole(out)


def _scales(
    out: Drawing, x: Scale, y: Scale, across: str, up: str, xs: Sequence[float], ys: Sequence[float]
) -> None:
    """Names and ticks of both scales, and a grid of the heights."""
    out.text(x.start, y.end - 10, up)
    out.text((x.start + WIDTH) / 2, out.height - 8, across, "", "middle")
    for tick in ys:
        out.line(x.start, y(tick), x.end, y(tick), "grid")
        out.text(x.start - 8, y(tick) + 4, f"{tick:g}", "", "end")
    for tick in xs:
        out.text(x(tick), out.height - 27, f"{tick:g}", "", "middle")


def _beside(out: Drawing, x: float, y: float, word: str, taken: list[tuple[float, float, float]]) -> None:
    """A word to the right of a dot, or to its left, unless it would cover something."""
    for start, anchor in ((x + 8, "start"), (x - 8 - width_of(word), "end")):
        end = start + width_of(word)
        free = all(end < left or right < start or abs(y - height) > 11 for left, right, height in taken)
        if free and end < WIDTH - 8 and start > 62:
            out.text(start if anchor == "start" else end, y + 4, word, "", anchor)
            taken.append((start, end, y))
            return


def _legend_rows(names: Sequence[str]) -> list[list[str]]:
    """Names that stand in one row each."""
    rows: list[list[str]] = [[]]
    used = 0.0
    for name in names:
        need = width_of(name) + 34
        if used + need > WIDTH - 32 and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append(name)
        used += need
    return rows


def _head(out: Drawing, title: str, legend: Sequence[Sequence[str]], series: Sequence[str]) -> None:
    out.text(16, 20, title, "title")
    for row, names in enumerate(legend):
        left = 16.0
        for name in names:
            out.bar(left, 30 + 18 * row, 11, 11, f"c{series.index(name) % len(COLOURS)}")
            out.text(left + 16, 40 + 18 * row, name)
            left += width_of(name) + 34


def beside(*plots: str) -> str:
    """Several plots in one file, one under the other."""
    inner, y, width = [], 0.0, WIDTH
    for plot in plots:
        height = float(plot.partition('viewBox="0 0 ')[2].partition('"')[0].split()[1])
        inner.append(
            plot.replace("<svg ", f'<svg y="{y:g}" height="{height:g}" width="{width:g}" ', 1).strip()
        )
        y += height + 12
    box = f'viewBox="0 0 {width:g} {y:g}" style="max-width:{width:g}px"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return head + "".join(inner) + "</svg>\n"
