"""Does less when the board gets hot or results come late, and more again when it is well.

Pure logic: what was read goes in, a step comes out. Steps are taken in their order, one at a time, and given
back in reverse. Three things keep it from swinging: a dwell time after each step, a margin between "too much"
and "well again", and a patience that doubles each time a step given back had to be taken anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rate", "size", "model"]

#: Inferences a second below which no rate step goes.
FLOOR = 1.0
#: Pixels of a picture's shorter side below which no size step goes.
SMALLEST_SIDE = 240
RATES = (0.5, 0.25)


@dataclass(frozen=True, slots=True)
class Limits:
    """When to act.

    Attributes:
        temperature: degrees Celsius that are too hot, 0.0 for no bound.
        latency: milliseconds from capture to result that are too late, 0.0 for no bound.
        cooler: degrees below ``temperature`` at which the board is well again.
        sooner: share of ``latency`` at which results are in good time again.
        notice: seconds that something must be too much before a step.
        dwell: seconds between any two steps, at least.
        calm: seconds that all must be well before a step is given back; doubles when that was too early.
        longest: bound of that doubling.
        proof: seconds that must pass after a step was given back before it counts as right: a board takes
            minutes to get hot again.
    """

    temperature: float = 80.0
    latency: float = 0.0
    cooler: float = 5.0
    sooner: float = 0.7
    notice: float = 3.0
    dwell: float = 10.0
    calm: float = 30.0
    longest: float = 1800.0
    proof: float = 300.0

    def __post_init__(self) -> None:
        if self.notice < 0 or not 0 < self.dwell <= self.calm <= self.longest:
            raise ValueError("expected 0 < dwell <= calm <= longest")


@dataclass(frozen=True, slots=True)
class Reading:
    """How it is at the moment.

    Attributes:
        temperature: degrees Celsius, None if there is no sensor.
        slowed: what slows the board down.
        latency: milliseconds from capture to result, 0.0 if there was none.
    """

    temperature: float | None = None
    slowed: tuple[str, ...] = ()
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can be done to do less.

    Attributes:
        kind: what it changes. Of several steps of a kind the last one taken counts.
        value: share of the full rate; ``WIDTHxHEIGHT``; a model's name.
        words: what is so while it is taken: ``half the inference rate``.
    """

    kind: Kind
    value: float | str
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """A step that was just taken (``down``) or given back.

    Attributes:
        step: which.
        in_effect: the step of its kind that counts now, None for none.
        reason: why.
    """

    step: Step
    down: bool
    in_effect: Step | None
    reason: str

    @property
    def words(self) -> str:
        """One line for people."""
        verb = "steps down to" if self.down else "gives back"
        return f"governor {verb} {self.step.words} ({self.reason})"


class Governor:
    """Decides on steps.

    Args:
        limits: when to act.
        steps: what can be done, in the order of doing it.
        clock: monotonic seconds.

    Attributes:
        level: how many of the steps are taken.
        reason: why the last one was taken.
    """

    def __init__(
        self, limits: Limits, steps: Sequence[Step], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.level = 0
        self.reason = ""
        self._limits = limits
        self._steps = list(steps)
        self._clock = clock
        self._stepped_at = -float("inf")
        self._raised_at: float | None = None  # when a step was last given back
        self._over_since: float | None = None
        self._well_since: float | None = None
        self._calm = limits.calm

    @property
    def taken(self) -> tuple[Step, ...]:
        return tuple(self._steps[: self.level])

    @property
    def words(self) -> str:
        """What is so, and why, for people; "" while nothing is taken."""
        last = {step.kind: step.words for step in self.taken}
        return f"{', '.join(last.values())}: {self.reason}" if last else ""

    def in_effect(self, kind: Kind) -> Step | None:
        """The step of a kind that counts, None if none of it is taken."""
        return next((step for step in reversed(self.taken) if step.kind == kind), None)

    def update(self, reading: Reading) -> Change | None:
        """Take note of how it is; the step that follows, if any."""
        now, limits = self._clock(), self._limits
        reasons = self._too_much(reading)
        self._over_since = _since(self._over_since, now, bool(reasons))
        self._well_since = _since(self._well_since, now, self._is_well(reading))
        if self._raised_at is not None and now - self._raised_at > max(self._limits.proof, self._calm):
            # It holds: the next step may come back as soon as the first one.
            self._raised_at, self._calm = None, limits.calm
        if now - self._stepped_at < limits.dwell:
            return None
        if self._over_since is not None and now - self._over_since >= limits.notice:
            return self._down(now, ", ".join(reasons))
        if self._well_since is not None and now - max(self._well_since, self._stepped_at) >= self._calm:
            return self._up(now)
        return None

    def drop(self, step: Step) -> None:
        """Forget a step that turned out to be impossible."""
        index = self._steps.index(step)
        del self._steps[index]
        self.level -= index < self.level

    def _down(self, now: float, reason: str) -> Change | None:
        if self.level == len(self._steps):
            return None
        if self._raised_at is not None:
            self._raised_at, self._calm = None, min(self._calm * 2, self._limits.longest)
        step = self._steps[self.level]
        self.level += 1
        self._stepped_at = now
        self.reason = reason
        return Change(step, True, step, reason)

    def _up(self, now: float) -> Change | None:
        if self.level == 0:
            return None
        self.level -= 1
        self._stepped_at = self._raised_at = now
        step = self._steps[self.level]
        return Change(step, False, self.in_effect(step.kind), "well again")

    def _too_much(self, reading: Reading) -> list[str]:
        limits, out = self._limits, []
        if limits.temperature:
            if reading.temperature is not None and reading.temperature >= limits.temperature:
                out.append(f"{limits.temperature:.0f} °C reached")
            out += reading.slowed
        if limits.latency and reading.latency > limits.latency:
            out.append(f"results later than {limits.latency:.0f} ms")
        return out

    def _is_well(self, reading: Reading) -> bool:
        limits = self._limits
        cool = (
            not limits.temperature
            or reading.temperature is None
            or reading.temperature <= limits.temperature - limits.cooler
        )
        in_time = not limits.latency or reading.latency <= limits.latency * limits.sooner
        return cool and in_time and not (limits.temperature and reading.slowed)


def _since(before: float | None, now: float, holds: bool) -> float | None:
    """Since when something holds."""
    if not holds:
        return None
    return now if before is None else before


def ladder(size: tuple[int, int] | None, models: Sequence[str]) -> list[Step]:
    """The usual steps in their order: rate, size, model.

    Args:
        size: of the source's pictures, None if it cannot give others.
        models: smaller ones, the next smaller first.
    """
    steps = [Step("rate", share, f"{_SHARES[share]} the inference rate") for share in RATES]
    while size is not None and min(size) // 2 >= SMALLEST_SIDE:
        size = (size[0] // 2, size[1] // 2)
        steps.append(Step("size", f"{size[0]}x{size[1]}", f"pictures of {size[0]}x{size[1]}"))
    return steps + [Step("model", name, f"model {name}") for name in models]


_SHARES = {0.5: "half", 0.25: "a quarter of"}


def interval(full: float, step: Step | None) -> float:
    """Seconds from one inference to the next under a rate step; 0.0 for as fast as it goes.

    Args:
        full: inferences a second without any rate step.
        step: the rate step in effect.
    """
    if step is None or full <= FLOOR:
        return 0.0
    return 1 / max(FLOOR, full * float(step.value))
