"""The report's charts, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from converters.judging.gate import LEAST_SHOWN, MAX_CLASS_DROP
from converters.layers import LayerError, LayerReport
from converters.reporting.story import TWIN, Story, megabytes, milliseconds, percent, signed
from converters.reporting.svg import Drawing, Scale, number, width_of

WIDTH = 720.0
MOST_CLASSES = 30
LARGEST_MATRIX = 25
_FEW = 5  # pictures in a bin below which it says next to nothing
_FAR = 12.0  # points below the best


def scatter(story: Story) -> str:
    """Accuracy against latency; the area of a dot is the size of the file.

    What has lost more than :data:`_FAR` points would press all others together: it stands at the lower edge,
    as a triangle.
    """
    out = Drawing(WIDTH, 372, "accuracy against latency of all variants")
    left, right, top, bottom = 58.0, WIDTH - 24, 26.0, 322.0
    values = [100 * found.accuracy.headline for found in story.models.values()]
    near = [value for value in values if value >= max(values) - _FAR]
    spread = max(max(near) - min(near), 2.0)
    y = Scale(min(near) - 0.35 * spread, min(max(near) + 0.3 * spread, 100.2), bottom, top)
    x = _latencies([found.invoke_ms for found in story.models.values()], left, right)
    for tick in y.ticks(5):
        out.line(left, y(tick), right, y(tick), "grid")
        out.text(left - 10, y(tick) + 4, f"{tick:g}%", "tick", "end")
    for tick in x.ticks(6):
        out.text(x(tick), bottom + 20, f"{tick:g}", "tick", "middle")
    out.line(left, bottom, right, bottom, "axis")
    out.text((left + right) / 2, bottom + 42, "milliseconds a picture, network alone", "name", "middle")
    out.text(left, top - 10, story.twin.accuracy.headline_name, "name")
    _front(out, story, x, y)
    _dots(out, story, x, y, bottom, right)
    return str(out)


def _latencies(values: Sequence[float], start: float, end: float) -> Scale:
    """From 0, or logarithmic where one is many times another."""
    low, high = max(min(values), 1e-3), max(*values, 2e-3)
    if high > 8 * low:
        return Scale(low / 1.6, high * 1.6, start, end, logarithmic=True)
    return Scale(0, 1.25 * high, start, end)


def _front(out: Drawing, story: Story, x: Scale, y: Scale) -> None:
    """A line through what nothing else beats in both accuracy and latency."""
    best, corners = -1.0, []
    for found in sorted(story.models.values(), key=lambda f: (f.invoke_ms, -f.accuracy.headline)):
        if found.accuracy.headline > best:
            best = found.accuracy.headline
            if 100 * best >= y.low:
                corners.append((x(max(found.invoke_ms, 1e-3)), y(100 * best)))
    if len(corners) > 1:
        out.path(corners, "front")


def _dots(out: Drawing, story: Story, x: Scale, y: Scale, bottom: float, right: float) -> None:
    largest = max(found.bytes for found in story.models.values())
    places = []
    # Large dots first, so that small ones lie on top.
    for name, found in sorted(story.models.items(), key=lambda entry: -entry[1].bytes):
        value = 100 * found.accuracy.headline
        at = x(max(found.invoke_ms, 1e-3)), y(value) if value >= y.low else bottom - 10
        words = f"{name} · {megabytes(found.bytes)}"
        tip = f"{name}: {percent(found.accuracy.headline)}, {milliseconds(found.invoke_ms)}"
        radius = 4 + 9 * math.sqrt(found.bytes / largest)
        if value < y.low:
            radius, words = 8.0, f"{name} · {percent(found.accuracy.headline)}"
            corners = [(at[0] - 8, at[1] - 7), (at[0] + 8, at[1] - 7), (at[0], at[1] + 7)]
            out.area(corners, f"dot {_kind(name, story)}", tip)
        else:
            out.dot(*at, radius, f"dot {_kind(name, story)}", tip)
        places.append((at, radius, words))
    _labels(out, places, right, bottom)


def _labels(
    out: Drawing, places: list[tuple[tuple[float, float], float, str]], right: float, bottom: float
) -> None:
    """Each label near its dot, where it covers neither dot nor label; a thin line where it had to move."""
    taken = [(at[0] - r, at[1] - r, at[0] + r, at[1] + r) for at, r, _ in places]
    for at, radius, words in sorted(places, key=lambda place: place[0][1]):
        width = width_of(words)
        spots = [
            (start, at[1] + down)
            for down in sorted(range(-160, 161, 8), key=abs)
            for start in (at[0] + radius + 7, at[0] - radius - 7 - width)
            if start > 60 and start + width < right + 20 and 14 < at[1] + down < bottom - 6
        ]
        free = (spot for spot in spots if not any(_meets(_box(spot, width), box) for box in taken))
        start, height = next(free, (at[0] + radius + 7, at[1]))
        if abs(height - at[1]) > 14:
            edge = start - 3 if start > at[0] else start + width + 3
            out.line(at[0], at[1], edge, height, "leader")
        taken.append(_box((start, height), width))
        out.text(start, height + 4, words, "label")


def _box(spot: tuple[float, float], width: float) -> tuple[float, float, float, float]:
    return spot[0] - 2, spot[1] - 8, spot[0] + width + 2, spot[1] + 8


def _meets(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _kind(name: str, story: Story) -> str:
    return "twin" if name == TWIN else "best" if name == story.chosen else "other"


def class_bars(story: Story) -> str:
    """Recall of every class, float above shipped; of very many classes those that changed most."""
    base, best = story.twin.accuracy.classes, story.best.accuracy.classes
    rows = [
        (a.name, a.shown, a.recall or 0.0, b.recall or 0.0, change.points)
        for a, b, change in zip(base, best, story.comparison.classes, strict=True)
        if a.shown
    ]
    if len(rows) > MOST_CLASSES:
        rows = sorted(rows, key=lambda row: -abs(row[4]))[:MOST_CLASSES]
    names = max((min(width_of(row[0]), 170) for row in rows), default=0)
    left, step = names + 62, 34.0
    out = Drawing(WIDTH, 20 + step * len(rows), "recall of every class, float and shipped")
    x = Scale(0, 1, left, WIDTH - 108)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        out.line(x(tick), 4, x(tick), step * len(rows), "grid")
        out.text(x(tick), step * len(rows) + 15, f"{100 * tick:g}%", "tick", "middle")
    for n, (name, shown, before, after, lost) in enumerate(rows):
        y = 6 + step * n
        out.text(left - 52, y + 15, _cut(name, 26), "label", "end")
        out.text(left - 10, y + 15, str(shown), "tick", "end")
        out.bar(left, y, x(before) - left, 9, "bar twin", f"{name}, float: {percent(before)}")
        out.bar(left, y + 11, x(after) - left, 9, "bar best", f"{name}, {story.chosen}: {percent(after)}")
        kind = "bad" if lost > MAX_CLASS_DROP and shown >= LEAST_SHOWN else "value"
        out.text(WIDTH - 98, y + 15, f"{percent(after)}", f"label {kind}")
        out.text(WIDTH, y + 15, signed(-lost), f"tick {kind}", "end")
    return str(out)


def confusion(story: Story) -> str:
    """The matrix as a heat map; "" for more classes than fit."""
    matrix = story.best.accuracy.confusion
    if not matrix or len(matrix) > LARGEST_MATRIX:
        return ""
    outside = any(row[-1] for row in matrix)
    columns = len(matrix) + outside
    labels = [story.name(n) for n in range(columns)]
    left = 20 + max(min(width_of(label), 150) for label in labels)
    cell = min(64.0, (WIDTH - left - 8) / columns)
    head = 24 + min(max(width_of(label) for label in labels), 150) * (0.72 if cell < 60 else 0) + 12
    out = Drawing(left + cell * columns + 8, head + cell * len(matrix) + 8, "confusion matrix")
    for n, label in enumerate(labels):
        where = left + cell * (n + 0.5)
        if cell < 60:
            turn = f'transform="rotate(-45 {number(where)} {number(head - 8)})"'
            out.raw(f"<g {turn}>")
            out.text(where, head - 8, _cut(label, 24), "label")
            out.raw("</g>")
        else:
            out.text(where, head - 8, _cut(label, 10), "label", "middle")
    for row, counts in enumerate(matrix):
        total = sum(counts)
        y = head + cell * row
        out.text(left - 10, y + cell / 2 + 4, _cut(labels[row], 24), "label", "end")
        for column in range(columns):
            tip = f"{labels[row]} taken for {labels[column]}: {counts[column]} of {total}"
            at = left + cell * column, y
            _cell(out, at, cell, counts[column], total, "" if row == column else tip)
    return str(out)


def _cell(out: Drawing, at: tuple[float, float], side: float, count: int, total: int, mistake: str) -> None:
    share = count / total if total else 0.0
    kind = "miss" if mistake else "hit"
    strength = min(1.0, 0.12 + 2.2 * share) if mistake else share
    size = f'width="{number(side - 3)}" height="{number(side - 3)}" rx="4"'
    where = f'x="{number(at[0])}" y="{number(at[1])}"'
    out.raw(f'<rect class="cell" {where} {size}/>')
    if count:
        out.raw(f'<rect class="{kind}" {where} {size} style="opacity:{strength:.2f}"/>')
        ink = "strong count" if strength > 0.55 else "label count"
        middle = at[0] + (side - 3) / 2
        out.text(middle, at[1] + side / 2 + 3, str(count), ink, "middle", mistake)


def layer_chart(report: LayerReport, marked: int = 5) -> str:
    """Signal to noise along the network: what has been reached, and each layer's own."""
    rows = [layer for layer in report.layers if layer.own is not None or layer.reached is not None]
    out = Drawing(WIDTH, 330, "signal to noise of every layer")
    if not rows:
        return ""
    left, right, top, bottom = 58.0, WIDTH - 16, 24.0, 286.0
    values = [v for layer in rows for v in (layer.own, layer.reached) if v is not None]
    x = Scale(0, max(len(rows) - 1, 1), left + 8, right - 8)
    y = Scale(min(0.0, math.floor(min(values) / 10) * 10), math.ceil(max(values) / 10) * 10, bottom, top)
    for tick in y.ticks(6):
        out.line(left, y(tick), right, y(tick), "grid")
        out.text(left - 10, y(tick) + 4, f"{tick:g}", "tick", "end")
    out.text(left, top - 9, "dB, higher is better", "name")
    out.text((left + right) / 2, bottom + 34, "layers in the order of the network", "name", "middle")
    out.line(left, bottom, right, bottom, "axis")
    guilty = {layer.index: rank for rank, layer in enumerate(report.worst(marked), 1)}
    for n, layer in enumerate(rows):
        if layer.own is not None:
            kind = "stem bad" if layer.index in guilty else "stem"
            out.line(x(n), bottom, x(n), y(layer.own), kind)
            out.dot(x(n), y(layer.own), 4 if layer.index in guilty else 2.6, f"knob {kind}", _tip(layer))
        if layer.index in guilty:
            out.text(x(n), y(layer.own or 0) - 9, str(guilty[layer.index]), "rank", "middle")
    out.path(
        [(x(n), y(layer.reached)) for n, layer in enumerate(rows) if layer.reached is not None], "reached"
    )
    return str(out)


def _tip(layer: LayerError) -> str:
    parts = [f"{layer.name} ({layer.operator}): {decibels(layer.own)} own"]
    if layer.reached is not None:
        parts.append(f"{decibels(layer.reached)} reached")
    return ", ".join(parts)


def decibels(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} dB"


def reliability(story: Story) -> str:
    """Accuracy against confidence in ten bins, both models; on the diagonal a model means what it says."""
    out = Drawing(360, 300, "accuracy against confidence")
    left, right, top, bottom = 50.0, 344.0, 20.0, 252.0
    x, y = Scale(0, 1, left, right), Scale(0, 1, bottom, top)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        out.line(left, y(tick), right, y(tick), "grid")
        out.text(left - 8, y(tick) + 4, f"{100 * tick:g}", "tick", "end")
        out.text(x(tick), bottom + 18, f"{100 * tick:g}", "tick", "middle")
    out.line(x(0), y(0), x(1), y(1), "front")
    out.text((left + right) / 2, bottom + 38, "confidence, %", "name", "middle")
    out.text(left, top - 7, "right, %", "name")
    for kind, found in (("twin", story.twin), ("best", story.best)):
        bins = [entry for entry in found.accuracy.reliability if entry[0]]
        total = max((count for count, _, _ in bins), default=1)
        sure = [(x(mean or 0), y(right_ or 0)) for count, mean, right_ in bins if count >= _FEW]
        out.path(sure, f"curve {kind}")
        for count, mean, right_ in bins:
            radius = 2.5 + 5 * math.sqrt(count / total)
            tip = f"{count} pictures: confidence {percent(mean)}, right {percent(right_)}"
            out.dot(x(mean or 0), y(right_ or 0), radius, f"dot {kind}", tip)
    return str(out)


def histogram(counts: Sequence[int]) -> str:
    """How bright the calibration pictures' pixels are."""
    out = Drawing(360, 300, "brightness of the calibration pictures")
    left, right, top, bottom = 16.0, 344.0, 20.0, 252.0
    most = max(counts, default=0) or 1
    step = (right - left) / max(len(counts), 1)
    for n, count in enumerate(counts):
        height = (bottom - top) * count / most
        out.bar(left + n * step + 1, bottom - height, step - 2, height, "bar best")
    out.line(left, bottom, right, bottom, "axis")
    out.text(left, bottom + 18, "0", "tick")
    out.text(right, bottom + 18, "255", "tick", "end")
    out.text((left + right) / 2, bottom + 38, "value of a pixel's channel", "name", "middle")
    return str(out)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
