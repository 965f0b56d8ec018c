"""The report's part about training: curves of every step that trained, and the contact sheet."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from converters.reporting import shrunk
from converters.reporting.svg import Drawing, Scale

STEPS = ("train", "distill", "prune", "qat")
_WIDTH, _HEIGHT = 720.0, 260.0


@dataclass(frozen=True)
class Trained:
    """One step that trained.

    Attributes:
        step: its name.
        figures: see :class:`converters.steps.train.TrainStep`.
        sheet: its contact sheet as PNG, None without.
    """

    step: str
    figures: Mapping[str, Any]
    sheet: bytes | None = None

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        return self.figures.get("history") or ()


def gather(figures: Mapping[str, Mapping[str, Any] | None], root: Path) -> tuple[Trained, ...]:
    """What of the steps' figures is about training.

    Args:
        figures: step -> its figures, None where it has not been run.
        root: the work folder.
    """
    found = []
    for step in STEPS:
        made = figures.get(step) or {}
        if made.get("history"):
            path = root / str(made.get("sheet") or "-")
            found.append(Trained(step, made, path.read_bytes() if path.is_file() else None))
    return tuple(found)


def words(trained: Trained) -> str:
    """One line about a step."""
    made = trained.figures
    parts = [f"{len(trained.history)} epochs"]
    if made.get("seconds"):
        parts.append(f"{made['seconds'] / 60:.1f} minutes")
    if made.get("parameters"):
        parts.insert(0, f"{made.get('network') or 'network'}, {made['parameters']:,} parameters")
    if made.get("before"):
        parts.insert(1, shrunk.words(made))
    if made.get("best"):
        parts.append(f"best score {100 * made['best']['score']:.1f}% in epoch {made['best']['epoch']}")
    if made.get("kept"):
        parts.append(f"weights of epoch {made['kept']}")
    if made.get("stopped"):
        parts.append(f"stopped early: {made['stopped']}")
    return "; ".join(parts)


def chart(trained: Trained) -> str:
    """Shares of right answers over the epochs: on training pictures as augmented, and on validation
    pictures (the mean of the classes' recalls). The loss where there is neither."""
    rows = trained.history
    series = {
        "twin": [row.get("accuracy") for row in rows],
        "best": [(row.get("validation") or {}).get("score") for row in rows],
    }
    shown = {kind: [v for v in values if v is not None] for kind, values in series.items()}
    if not any(shown.values()):
        series = {"twin": [row.get("loss") for row in rows]}
        shown = {"twin": [v for v in series["twin"] if v is not None]}
    every = [value for values in shown.values() for value in values] or [0.0]
    out = Drawing(_WIDTH, _HEIGHT, f"learning curves of {trained.step}")
    left, right, top, bottom = 58.0, _WIDTH - 24, 20.0, _HEIGHT - 40
    x = Scale(1, max(len(rows), 2), left, right)
    spread = max(max(every) - min(every), 0.02)
    y = Scale(min(every) - 0.08 * spread, max(every) + 0.08 * spread, bottom, top)
    for tick in y.ticks(5):
        out.line(left, y(tick), right, y(tick), "grid")
        out.text(
            left - 10, y(tick) + 4, f"{100 * tick:g}%" if len(series) > 1 else f"{tick:g}", "tick", "end"
        )
    for tick in x.ticks(8):
        if tick == int(tick):
            out.text(x(tick), bottom + 20, f"{tick:g}", "tick", "middle")
    out.line(left, bottom, right, bottom, "axis")
    out.text((left + right) / 2, bottom + 36, "epoch", "name", "middle")
    for kind, values in series.items():
        points = [(x(n), y(v)) for n, v in enumerate(values, 1) if v is not None]
        out.path(points, f"curve {kind}")
        for (px, py), value in zip(points, shown[kind], strict=True):
            out.dot(px, py, 3, f"dot {kind}", f"{value:.4f}")
    return str(out)


def sections(every: Sequence[Trained]) -> str:
    """The page's sections about training, "" without."""
    out = []
    for trained in every:
        score = escape(str(trained.figures.get("score") or "mean recall"))
        legend = (
            "<div class='legend'><span><i class='twin'></i>training pictures, as augmented</span>"
            f"<span><i class='best'></i>validation pictures, {score}</span></div>"
        )
        body = f"{legend}<div class='scroll'><div class='chart'>{chart(trained)}</div></div>{_sheet(trained)}"
        body += shrunk.table(made) if (made := trained.figures).get("rounds") else ""
        out.append(
            f"<section><h2>How it learnt: {escape(trained.step)}</h2>"
            f"<p class='note'>{escape(words(trained))}.</p>{body}</section>"
        )
    return "".join(out)


def _sheet(trained: Trained) -> str:
    if trained.sheet is None:
        return ""
    uri = base64.b64encode(trained.sheet).decode()
    return (
        "<p class='note'>On the left pictures as they are, then what training saw instead.</p>"
        f"<img style='max-width:100%' alt='augmented pictures' src='data:image/png;base64,{uri}'>"
    )
