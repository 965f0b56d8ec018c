"""The quality gate: whether a variant is good enough to be shipped.

It fails on more than ``max_drop`` points of top-1 (or of AP50 or AP) lost against the float twin, or on a
class whose recall falls by more than ``max_class_drop`` points.

Few pictures make such figures jump, so two rules keep chance from deciding. A class takes part only from
:data:`LEAST_SHOWN` pictures (objects) up, below which a single one weighs more than five points. And one
picture never decides: at least two more must be wrong than before. What is left out by these rules is said,
and how likely chance alone is to make the difference (:func:`converters.metrics.sign_test`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from converters.judging.compare import ClassChange, Comparison
from converters.judging.figures import Accuracy

MAX_DROP = 1.0
MAX_CLASS_DROP = 5.0
LEAST_SHOWN = 20
LEAST_LOST = 2
FEW = 200  # pictures below which half a point is already a single picture
GUESSED = 0.05  # of the way from chance to always right: a classifier below it has learnt next to nothing
NOTHING_FOUND = 0.01  # AP50
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """
    Attributes:
        variant: which was judged.
        reasons: why it is not good enough; empty if it is.
        notes: what to keep in mind about the figures.
    """

    variant: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """What :meth:`as_dict` gave."""
        return cls(values["variant"], tuple(values["reasons"]), tuple(values["notes"]))


def judge(
    variant: str,
    base: Accuracy,
    other: Accuracy,
    comparison: Comparison,
    *,
    max_drop: float = MAX_DROP,
    max_class_drop: float = MAX_CLASS_DROP,
) -> Verdict:
    """Whether a variant passes.

    Args:
        variant: its name.
        base: its float twin.
        other: the variant.
        comparison: of the two.
        max_drop: points of the headline figures that may be lost.
        max_class_drop: points of recall that any class may lose.
    """
    reasons = _overall(variant, base, other, comparison, max_drop)
    judged = [change for change in comparison.classes if change.shown >= LEAST_SHOWN]
    reasons += [
        f"{variant} loses {change.points:.1f} points of recall of {change.name!r}"
        f" ({change.lost} of {change.shown} more are missed, {max_class_drop:g} points allowed)"
        for change in judged
        if change.points > max_class_drop + _ROUNDING and change.lost >= LEAST_LOST
    ]
    return Verdict(variant, tuple(reasons), (*_knows(base), *_notes(comparison, len(judged))))


def _overall(
    variant: str, base: Accuracy, other: Accuracy, comparison: Comparison, max_drop: float
) -> list[str]:
    before = {"top-1": base.top1, "AP50": base.ap50, "AP": base.ap}
    after = {"top-1": other.top1, "AP50": other.ap50, "AP": other.ap}
    reasons = []
    for name, points in comparison.points.items():
        by_one = name == "top-1" and comparison.worse - comparison.better < LEAST_LOST
        if points > max_drop + _ROUNDING and not by_one:
            span = f"{100 * (before[name] or 0):.1f} to {100 * (after[name] or 0):.1f}"
            reasons.append(
                f"{variant} loses {points:.1f} points of {name}"
                f" ({span} on {comparison.pictures} pictures, {max_drop:g} allowed)"
            )
    return reasons


def _knows(base: Accuracy) -> list[str]:
    """That a model had nothing to lose, where that is so: the gate only asks what was lost."""
    chance = 1 / max(len(base.classes), 1)
    least = chance + GUESSED * (1 - chance) if base.task == "classify" else NOTHING_FOUND
    if base.headline > least:
        return []
    seen = f"{base.headline_name} {100 * base.headline:.1f}%"
    return [f"the float model itself knows next to nothing ({seen}): train it longer, or on more pictures"]


def _notes(comparison: Comparison, judged: int) -> list[str]:
    notes = []
    if comparison.pictures < FEW:
        notes.append(
            f"only {comparison.pictures} test pictures:"
            f" each is {100 / max(comparison.pictures, 1):.1f} points, so these figures are rough"
        )
    lost = comparison.worse - comparison.better
    if comparison.chance is not None and lost > 0:
        notes.append(
            f"{comparison.worse} pictures became wrong and {comparison.better} right; equally good models"
            f" differ as much in {_percent(comparison.chance)} of cases"
        )
    few = [change for change in comparison.classes if 0 < change.shown < LEAST_SHOWN]
    if few:
        notes.append(
            f"{len(few)} of {len(few) + judged} classes have fewer than {LEAST_SHOWN} test examples"
            f" and do not decide: {_listed(few)}"
        )
    return notes


def _percent(chance: float) -> str:
    return (
        "under 0.1%" if chance < 0.001 else f"{100 * chance:.1f}%" if chance < 0.1 else f"{100 * chance:.0f}%"
    )


def _listed(changes: Sequence[ClassChange], most: int = 5) -> str:
    shown = [f"{change.name} ({change.shown})" for change in changes[:most]]
    return ", ".join([*shown, *(["..."] if len(changes) > most else [])])
