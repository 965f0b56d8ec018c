"""What a report tells, gathered from the figures of a work folder, with the words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.judging.compare import Comparison
from converters.judging.figures import OTHER, Figures
from converters.judging.gate import Verdict
from converters.layers import LayerReport
from converters.reporting import curves
from converters.reporting.curves import Trained
from edgecam.errors import UsageError

TWIN = "float"


@dataclass(frozen=True)
class Story:
    """
    Attributes:
        title: the model's name.
        training: what trained the model, see :mod:`converters.reporting.curves`.
        about: (what, value) pairs about model, data and making; for the end of the report.
        task: ``classify`` or ``detect``.
        names: the data's classes.
        pictures: number of test pictures.
        models: name -> figures, the float twin first.
        comparisons: name -> comparison with the float twin.
        verdicts: name -> what the gate says.
        chosen: the variant that is shipped.
        layers: name -> errors of layers.
        mistakes: see :mod:`converters.judging.mistakes`.
        repair: what was tried, empty if nothing.
        histogram: of the calibration pictures' pixels, 16 bins; empty without.
    """

    title: str
    task: str
    names: tuple[str, ...]
    pictures: int
    models: Mapping[str, Figures]
    comparisons: Mapping[str, Comparison]
    verdicts: Mapping[str, Verdict]
    chosen: str
    mistakes: Sequence[Mapping[str, Any]] = ()
    layers: Mapping[str, LayerReport] = field(default_factory=dict)
    repair: Mapping[str, Any] = field(default_factory=dict)
    histogram: Sequence[int] = ()
    training: Sequence[Trained] = ()
    about: Sequence[tuple[str, str]] = ()

    @property
    def twin(self) -> Figures:
        return self.models[TWIN]

    @property
    def best(self) -> Figures:
        """The variant that is shipped."""
        return self.models[self.chosen]

    @property
    def comparison(self) -> Comparison:
        return self.comparisons[self.chosen]

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[self.chosen]

    def name(self, class_id: int) -> str:
        """A class's label; ``something else`` for labels outside the data."""
        return self.names[class_id] if 0 <= class_id < len(self.names) else OTHER

    def confusions(self, most: int = 8) -> list[tuple[str, str, int]]:
        """The commonest errors of the shipped variant: truth, answer, how often."""
        pairs = [
            (self.name(truth), self.name(said), count)
            for truth, row in enumerate(self.best.accuracy.confusion)
            for said, count in enumerate(row)
            if count and said != truth
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:most]


def gather(title: str, figures: Mapping[str, Mapping[str, Any] | None], root: Path = Path()) -> Story:
    """The story of a work folder.

    Args:
        title: the model's name.
        figures: step -> its figures, None where it has not been run.
        root: the work folder.

    Raises:
        UsageError: nothing has been judged yet.
    """
    judged = figures.get("evaluate")
    if judged is None:
        raise UsageError("nothing has been judged yet", "run the step evaluate first")
    made = figures.get("quantize") or {}
    return Story(
        title=title,
        task=judged["task"],
        names=tuple(judged["names"]),
        pictures=judged["pictures"],
        models={name: Figures.from_dict(entry) for name, entry in judged["models"].items()},
        comparisons={name: Comparison.from_dict(entry) for name, entry in judged["comparisons"].items()},
        verdicts={name: Verdict.from_dict(entry) for name, entry in judged["verdicts"].items()},
        chosen=judged["chosen"],
        mistakes=judged["mistakes"],
        layers={name: LayerReport.from_dict(entry) for name, entry in judged["layers"].items()},
        repair=judged["repair"],
        histogram=(made.get("calibration") or {}).get("histogram", ()),
        training=curves.gather(figures, root),
        about=_about(figures),
    )


def _about(figures: Mapping[str, Mapping[str, Any] | None]) -> list[tuple[str, str]]:
    data, made, judged = (figures.get(step) or {} for step in ("data", "quantize", "evaluate"))
    rows: list[tuple[str, str]] = []
    if "pictures" in data:
        parts = ", ".join(f"{count} {part}" for part, count in data["pictures"].items())
        rows.append(("Pictures", parts))
    if "fingerprint" in data:
        rows.append(("Data fingerprint", data["fingerprint"][:16]))
    if "input" in made:
        height, width, channels = made["input"]
        rows.append(("Input", f"{width} x {height} x {channels}"))
    if "preprocess" in made:
        way = made["preprocess"]
        numbers = f"mean {way['mean']}, std {way['std']}"
        rows.append(("Preprocessing", f"{way['name']} ({way['color']}, {numbers})"))
    if "calibration" in made:
        kind = "other" if made.get("options", {}).get("calibrate_on") else "training"
        rows.append(("Calibration", f"{made['calibration']['pictures']} {kind} pictures"))
    rows += [
        (f"Converter of {entry['recipe']}", f"{entry['converter']}, {entry['seconds']:.0f} s")
        for entry in made.get("variants", ())
    ]
    machine = judged.get("machine") or {}
    if machine:
        runs_on = next(iter(judged["models"].values()))
        rows.append(("Measured on", f"{machine['cpu']}, {runs_on['threads']}, {runs_on['runtime']}"))
    tpu = figures.get("edgetpu") or {}
    if "summary" in tpu:
        rows.append(("Edge TPU", str(tpu["summary"])))
    return rows


def percent(fraction: float | None, digits: int = 1) -> str:
    """``86.8%``, or a dash where there is no figure."""
    return "–" if fraction is None else f"{100 * fraction:.{digits}f}%"


def megabytes(count: int) -> str:
    """``2.74 MB``, or kilobytes below a tenth of that."""
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def milliseconds(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms"


def signed(points: float) -> str:
    """Points *gained*, with a true minus sign: ``−1.1``, ``+0.3``, ``±0``."""
    if abs(points) < 0.05:
        return "±0"
    return f"{'+' if points > 0 else '−'}{abs(points):.1f}"


def headline_points(comparison: Comparison) -> float:
    """Points gained of the headline figure; negative where something was lost."""
    return -next(iter(comparison.points.values()))


def times(before: float, after: float) -> str:
    """How many times smaller or faster, in words; "" where that is next to nothing."""
    if not before or not after or 0.95 < before / after < 1.05:
        return ""
    return f"{before / after:.1f}×"


def summary(story: Story) -> str:
    """The outcome in one or two sentences, for people."""
    twin, best, found = story.twin, story.best, story.comparison
    shrunk, sped = times(twin.bytes, best.bytes), times(twin.invoke_ms, best.invoke_ms)
    gains = [
        *([f"{shrunk} smaller"] if shrunk and best.bytes < twin.bytes else []),
        *([f"{sped} faster"] if sped and best.invoke_ms < twin.invoke_ms else []),
    ]
    gained = " and ".join(gains) or "as large and as fast"
    cost = _cost(story, found)
    return f"{story.chosen} is {gained} {'than' if gains else 'as'} the float model and {cost}."


def _cost(story: Story, found: Comparison) -> str:
    a, b = story.twin.accuracy, story.best.accuracy
    span = f"{percent(a.headline)} → {percent(b.headline)} {a.headline_name}"
    if story.task == "detect":
        return f"goes from {span} on {story.pictures} test pictures"
    more = found.worse - found.better
    if more > 0:
        return f"gets {more} more of {story.pictures} test pictures wrong ({span})"
    if more < 0:
        return f"gets {-more} more of {story.pictures} test pictures right ({span})"
    return f"gets as many of {story.pictures} test pictures right ({span})"
