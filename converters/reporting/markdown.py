"""The report as Markdown: the figures without the pictures, to be put beside the model."""

from __future__ import annotations

from collections.abc import Sequence

from converters.reporting import curves
from converters.reporting.charts import decibels
from converters.reporting.story import (
    Story,
    headline_points,
    megabytes,
    milliseconds,
    percent,
    signed,
    summary,
)


def render(story: Story) -> str:
    """The whole report."""
    parts = [
        f"# {_plain(story.title)}",
        _plain(summary(story)),
        _gate(story),
        "## Variants",
        _variants(story),
        "## Classes",
        _classes(story),
        _confusions(story),
        _layers(story),
        _about(story),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _gate(story: Story) -> str:
    verdict = story.verdict
    head = f"**{story.chosen} is good enough to ship.**" if verdict.passed else "**Not good enough to ship.**"
    return "\n".join([head, *(f"- {_plain(line)}" for line in (*verdict.reasons, *verdict.notes))])


def _variants(story: Story) -> str:
    rows = []
    for name, found in story.models.items():
        comparison = story.comparisons.get(name)
        verdict = story.verdicts.get(name)
        rows.append(
            [
                f"**{name}**" if name == story.chosen else name,
                percent(found.accuracy.headline),
                signed(headline_points(comparison)) if comparison else "",
                percent(found.accuracy.top5) if story.task == "classify" else percent(found.accuracy.ap),
                *([percent(found.accuracy.ece)] if story.task == "classify" else []),
                percent(comparison.agreement) if comparison else "",
                milliseconds(found.invoke_ms),
                megabytes(found.bytes),
                f"{found.macs / 1e6:.1f} M",
                "" if verdict is None else "yes" if verdict.passed else "no",
            ]
        )
    own = ["top-5", "ECE"] if story.task == "classify" else ["AP"]
    heads = ["", story.twin.accuracy.headline_name, "points", *own, "agrees"]
    return _table([*heads, "latency", "size", "MACs", "passes"], rows)


def _classes(story: Story) -> str:
    rows = [
        [_plain(a.name), str(a.shown), percent(a.recall), percent(b.recall), signed(-change.points)]
        for a, b, change in zip(
            story.twin.accuracy.classes, story.best.accuracy.classes, story.comparison.classes, strict=True
        )
        if a.shown
    ]
    return _table(["class", "shown", "recall, float", f"recall, {story.chosen}", "points"], rows)


def _confusions(story: Story) -> str:
    pairs = story.confusions()
    if not pairs:
        return ""
    return (
        "Commonest errors: "
        + ", ".join(f"{_plain(a)} taken for {_plain(b)} ({n})" for a, b, n in pairs)
        + "."
    )


def _layers(story: Story) -> str:
    report = story.layers.get(story.chosen)
    worst = report.worst(8) if report else []
    if not worst:
        return ""
    rows = [
        [_plain(layer.name), layer.operator, *map(decibels, (layer.own, layer.rounding, layer.weights))]
        for layer in worst
    ]
    return "## Layers that lose most\n\n" + _table(["layer", "operator", "own", "range", "weights"], rows)


def _about(story: Story) -> str:
    trained = [(one.step.capitalize(), curves.words(one)) for one in story.training]
    if not story.about and not trained:
        return ""
    return "## How it was made\n\n" + "\n".join(
        f"- {what}: {_plain(value)}" for what, value in (*trained, *story.about)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = "| " + " | ".join(heads) + " |"
    rule = "| --- |" + " ---: |" * (len(heads) - 1)
    return "\n".join([line, rule, *("| " + " | ".join(row) + " |" for row in rows)])


def _plain(text: str) -> str:
    """Text that Markdown leaves alone."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, "\\" + sign)
    return text
