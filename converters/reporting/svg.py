"""The few things that charts are drawn of. Colours are classes of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low, high: values at the ends.
        start, end: pixels there.
        logarithmic: equal factors are equal distances; both ends must be above 0.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / (math.log(self.high / self.low) or 1.0)
        else:
            share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers inside, about so many; 1, 2, 5, 10, ... where logarithmic."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            round_ = [m * 10.0**power for power in powers for m in (1, 2, 5)]
            return [value for value in round_ if self.low <= value <= self.high]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def number(value: float) -> str:
    """A coordinate: short, never ``nan``."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


@dataclass
class Drawing:
    """An SVG picture that grows.

    Attributes:
        width, height: of its view box.
        label: what it shows, for those who cannot see it.
    """

    width: float
    height: float
    label: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        xs = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
        self.parts.append(f'<line class="{kind}" {xs}/>')

    def path(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        steps = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{steps}"/>')

    def area(self, points: Iterable[tuple[float, float]], kind: str, tip: str = "") -> None:
        steps = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.parts.append(f'<polygon class="{kind}" points="{steps}">{_tip(tip)}</polygon>')

    def bar(
        self, x: float, y: float, width: float, height: float, kind: str, tip: str = "", round_: float = 2
    ) -> None:
        size = f'width="{number(max(width, 0))}" height="{number(max(height, 0))}" rx="{number(round_)}"'
        self.parts.append(f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" {size}>{_tip(tip)}</rect>')

    def dot(self, x: float, y: float, radius: float, kind: str, tip: str = "") -> None:
        where = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self.parts.append(f'<circle class="{kind}" {where}>{_tip(tip)}</circle>')

    def text(
        self, x: float, y: float, words: str, kind: str = "", anchor: str = "start", tip: str = ""
    ) -> None:
        where = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
        self.parts.append(f'<text class="{kind}" {where}>{escape(words)}{_tip(tip)}</text>')

    def raw(self, part: str) -> None:
        """Finished markup."""
        self.parts.append(part)

    def __str__(self) -> str:
        box = f"0 0 {number(self.width)} {number(self.height)}"
        return (
            f'<svg viewBox="{box}" style="max-width:{number(self.width)}px" role="img"'
            f' aria-label="{escape(self.label)}">' + "".join(self.parts) + "</svg>"
        )


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


def width_of(words: str, size: float = 12) -> float:
    """About how wide a text is, in pixels: good enough to keep labels apart."""
    return sum(0.95 if ord(c) > 0x2E80 else 0.55 for c in words) * size
