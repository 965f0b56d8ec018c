"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from converters.judging.figures import Figures
from converters.reporting import charts, curves, pictures
from converters.reporting.charts import decibels
from converters.reporting.document import document
from converters.reporting.story import (
    TWIN,
    Story,
    headline_points,
    megabytes,
    milliseconds,
    percent,
    signed,
    summary,
    times,
)

_WORST_LAYERS = 8


def render(story: Story) -> str:
    """The whole page."""
    parts = [
        _head(story),
        _tiles(story),
        _reasons(story),
        _variants(story),
        _mistakes(story),
        _classes(story),
        _layers(story),
        _repair(story),
        _confidence(story),
        curves.sections(story.training),
        _about(story),
    ]
    return document(f"{story.title}: report", parts)


def _head(story: Story) -> str:
    passed = story.verdict.passed
    badge = "good enough to ship" if passed else "not good enough"
    return (
        f"<header><div><h1>{escape(story.title)}</h1><p class='lead'>{escape(summary(story))}</p></div>"
        f"<span class='badge {'good' if passed else 'bad'}'>{badge}</span></header>"
    )


def _tile(title: str, value: str, under: str) -> str:
    return f"<div class='tile'><h3>{title}</h3><b>{value}</b><small>{under}</small></div>"


def _tiles(story: Story) -> str:
    twin, best = story.twin, story.best
    gained = headline_points(story.comparison)
    kind = "same" if abs(gained) < 0.05 else "good" if gained > 0 else "bad"
    name = best.accuracy.headline_name
    tiles = [
        _tile(
            f"{name}, {story.pictures} pictures",
            percent(best.accuracy.headline),
            f"<em class='{kind}'>{signed(gained)} points</em> from {percent(twin.accuracy.headline)}",
        ),
        _tile(
            "Median latency",
            milliseconds(best.invoke_ms),
            _change(twin.invoke_ms, best.invoke_ms, "faster", "slower") + f", {escape(best.threads)}",
        ),
        _tile(
            "Size",
            megabytes(best.bytes),
            _change(twin.bytes, best.bytes, "smaller", "larger"),
        ),
        _tile(
            "Agrees with float",
            percent(story.comparison.agreement),
            "of the answers" if story.task == "classify" else "of the detections",
        ),
        _tile("Work", f"{best.macs / 1e6:.1f} M", f"MACs, {best.parameters / 1e6:.2f} M parameters"),
    ]
    return f"<div class='tiles'>{''.join(tiles)}</div>"


def _change(before: float, after: float, better: str, worse: str) -> str:
    """How the shipped model compares: a factor and a word."""
    gained = after <= before
    factor = times(before, after) if gained else times(after, before)
    if not factor:
        return "as float"
    kind, word = ("good", better) if gained else ("bad", worse)
    return f"<em class='{kind}'>{factor} {word}</em> than float"


def _reasons(story: Story) -> str:
    verdict = story.verdict
    lines = "".join(f"<li>{escape(line)}</li>" for line in (*verdict.reasons, *verdict.notes))
    if not lines:
        return ""
    return f"<ul class='reasons {'plain' if verdict.passed else 'bad'}'>{lines}</ul>"


def _section(title: str, note: str, body: str) -> str:
    return f"<section><h2>{title}</h2><p class='note'>{note}</p>{body}</section>"


def _chart(drawing: str, narrow: bool = False) -> str:
    return f"<div class='scroll'><div class='chart{' narrow' if narrow else ''}'>{drawing}</div></div>"


def _variants(story: Story) -> str:
    name = story.twin.accuracy.headline_name
    heads = ["", name, "points", "agrees", "latency", "size", "compressed", "gate"]
    rows = [_row(story, variant, found) for variant, found in story.models.items()]
    head = "".join(f"<th>{text}</th>" for text in heads)
    table = f"<div class='scroll'><table><tr>{head}</tr>{''.join(rows)}</table></div>"
    note = (
        "Up and to the left is better; the larger a dot, the larger the file."
        " The dashed line joins what no other variant beats in both."
    )
    return _section("Accuracy against latency", note, _chart(charts.scatter(story)) + table)


def _row(story: Story, name: str, found: Figures) -> str:
    kind = "twin" if name == TWIN else "best" if name == story.chosen else "other"
    comparison, verdict = story.comparisons.get(name), story.verdicts.get(name)
    gate = (
        "" if verdict is None else "<em class='good'>✓</em>" if verdict.passed else "<em class='bad'>✗</em>"
    )
    cells = [
        f"<span class='mark {kind}'></span>{escape(name)}",
        percent(found.accuracy.headline),
        signed(headline_points(comparison)) if comparison else "",
        percent(comparison.agreement) if comparison else "",
        milliseconds(found.invoke_ms),
        megabytes(found.bytes),
        megabytes(found.compressed),
        gate,
    ]
    return f"<tr class='{kind}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _mistakes(story: Story) -> str:
    if not story.mistakes:
        return ""
    if story.task == "detect":
        note = (
            "The pictures with most errors, at the model's own threshold: found (green), missed (yellow,"
            " dashed), seen where nothing is (red)."
        )
        figures = [_detected(story, entry) for entry in story.mistakes]
        return _section("Worst mistakes", note, f"<div class='mistakes wide'>{''.join(figures)}</div>")
    lost = sum(bool(entry["lost"]) for entry in story.mistakes)
    note = "The most confident errors of the shipped model."
    if lost:
        note = f"First the {lost} that float gets right, then the most confident errors of the shipped model."
    figures = [_classified(story, entry) for entry in story.mistakes]
    return _section("Worst mistakes", note, f"<div class='mistakes'>{''.join(figures)}</div>")


def _classified(story: Story, entry: Mapping[str, Any]) -> str:
    path = Path(entry["path"])
    uri, _, _ = pictures.thumbnail(path)
    truth, said = (escape(story.name(entry[key])) for key in ("truth", "said"))
    image = (
        f"<img src='{uri}' alt='{truth}' loading='lazy'>" if uri else "<div class='gone'>picture gone</div>"
    )
    flag = "<span class='flag'>float is right</span>" if entry["lost"] else ""
    return (
        f"<figure title='{escape(path.name, quote=True)}'><div class='frame'>{image}{flag}</div><figcaption>"
        f"<b>{said}</b> {percent(entry['score'], 0)}<br>"
        f"<span>is {truth}, {percent(entry['right_score'], 0)}</span></figcaption></figure>"
    )


def _detected(story: Story, entry: Mapping[str, Any]) -> str:
    path = Path(entry["path"])
    uri, width, height = pictures.thumbnail(path, 2 * pictures.SIDE)
    drawn = (
        pictures.with_boxes(uri, (width, height), entry, story.names)
        if uri
        else "<div class='gone'>picture gone</div>"
    )
    missed = ", ".join(sorted({story.name(row[0]) for row in entry["missed"]}))
    words = f"<b>{len(entry['missed'])} missed</b>, {len(entry['false'])} false"
    return (
        f"<figure title='{escape(path.name, quote=True)}'><div class='frame'>{drawn}</div>"
        f"<figcaption>{words}<br><span>{escape(missed)}</span></figcaption></figure>"
    )


def _legend(*entries: tuple[str, str]) -> str:
    marks = "".join(f"<span><i class='{kind}'></i>{escape(text)}</span>" for kind, text in entries)
    return f"<div class='legend'>{marks}</div>"


def _classes(story: Story) -> str:
    bars = _section(
        "Every class",
        "How many of a class's test examples are recognised (recall).",
        _legend(("twin", "float"), ("best", story.chosen)) + _chart(charts.class_bars(story)),
    )
    matrix = charts.confusion(story)
    pairs = story.confusions()
    if story.task != "classify" or not (matrix or pairs):
        return bars
    rows = "".join(
        f"<tr><td class='text'>{escape(a)}</td><td class='text'>{escape(b)}</td><td>{n}</td></tr>"
        for a, b, n in pairs
    )
    table = (
        "<div class='scroll'><table><tr><th>is</th><th class='text'>taken for</th><th>times</th></tr>"
        f"{rows}</table></div>"
        if pairs
        else ""
    )
    note = f"Rows are the truth, columns what {escape(story.chosen)} says. Red cells are errors."
    body = _chart(matrix) if matrix else table
    return bars + _section("What is taken for what", note, body)


def _layers(story: Story) -> str:
    report = story.layers.get(story.chosen)
    if report is None or not report.layers:
        return ""
    note = (
        f"Signal against quantisation noise on {report.pictures} training pictures; 6 dB are one bit."
        " Dots are what a layer loses by itself, in its weights and its range; the line is what the whole"
        " network has lost up to there."
    )
    legend = _legend(
        ("best", "a layer's own"), ("bad", "the worst of them"), ("twin stroke", "reached so far")
    )
    total = sum(layer.macs for layer in report.layers) or 1
    rows = "".join(
        f"<tr><td>{rank}. {escape(layer.name)}</td><td class='text'>{escape(layer.operator)}</td>"
        f"<td>{decibels(layer.own)}</td><td>{decibels(layer.rounding)}</td><td>{decibels(layer.weights)}</td>"
        f"<td>{percent(layer.clipped, 2)}</td><td>{percent(layer.macs / total)}</td></tr>"
        for rank, layer in enumerate(report.worst(_WORST_LAYERS), 1)
    )
    heads = "<th>layer</th><th class='text'>operator</th><th>own</th><th>range</th><th>weights</th>"
    heads += "<th>clipped</th><th>of the MACs</th>"
    table = f"<div class='scroll'><table><tr>{heads}</tr>{rows}</table></div>" if rows else ""
    return _section("Where it is lost", note, legend + _chart(charts.layer_chart(report)) + table)


def _repair(story: Story) -> str:
    if not story.repair:
        return ""
    rows = "".join(
        f"<tr><td>{entry['layers']}</td><td>{entry['kept']}</td><td>{percent(entry['headline'])}</td><td>{megabytes(entry['size'])}</td>"
        f"<td>{'✓' if entry['passed'] else '✗'}</td></tr>"
        for entry in story.repair["tried"]
    )
    mended = ", ".join(story.repair["mended"])
    note = (
        "The worst layers, and those that read them, stay in float until the gate is met on the validation"
        f" pictures: {escape(mended)}."
    )
    heads = "<th>layers mended</th><th>in float for it</th><th>validation</th><th>size</th><th>gate</th>"
    return _section("Repair", note, f"<div class='scroll'><table><tr>{heads}</tr>{rows}</table></div>")


def _confidence(story: Story) -> str:
    parts = []
    if story.task == "classify" and story.best.accuracy.reliability:
        errors = (
            f"float {percent(story.twin.accuracy.ece)}, {story.chosen} {percent(story.best.accuracy.ece)}"
        )
        note = (
            f"On the dashed line a model is as often right as it says. Expected calibration error: {errors}."
        )
        legend = _legend(("twin", "float"), ("best", story.chosen))
        parts.append(
            _section("Does it know what it knows?", note, legend + _chart(charts.reliability(story), True))
        )
    if story.histogram:
        note = "What the ranges of the activations were taken from; the whole width should be in use."
        parts.append(_section("Calibration pictures", note, _chart(charts.histogram(story.histogram), True)))
    return f"<div class='two'>{''.join(parts)}</div>" if len(parts) > 1 else "".join(parts)


def _about(story: Story) -> str:
    rows = "".join(f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in story.about)
    return f"<section><h2>How it was made</h2><dl>{rows}</dl></section>" if rows else ""
