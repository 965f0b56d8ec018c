"""A round of structured pruning: channels leave until its share of the way is done. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converters import layergraph
from converters.pruning import cost, criteria, cut, measure
from converters.pruning.channels import Channels, trace
from converters.pruning.choose import Choice, Limits, choose
from edgecam.errors import UsageError
from edgecam.types import Array, Floats

_TRIES = {"macs": 20, "kb": 7, "ms": 7}  # converting takes seconds
_WORDS = {"macs": "of its multiply-accumulates", "kb": "kB as int8", "ms": "ms as int8"}


@dataclass(frozen=True)
class Target:
    """Where the pruning is to end.

    Attributes:
        kind: ``macs`` (a share of those at the start), ``kb`` or ``ms`` (of the int8 file).
        wanted: how much of it.
    """

    kind: str
    wanted: float

    def words(self, value: float) -> str:
        """``48.1% of its multiply-accumulates``, ``112.3 kB as int8``."""
        shown = f"{100 * value:.1f}%" if self.kind == "macs" else f"{value:.3g}"
        return f"{shown} {_WORDS[self.kind]}"


@dataclass(frozen=True, eq=False)
class Structured:
    """
    Attributes:
        target: where it is to end.
        by: see :data:`converters.pruning.criteria.CRITERIA`.
        limits: what has to be left of each layer in a round.
        rounds: how many.
        seed: for ``random``.
        batches: gives pictures for ``entropy``, as the network takes them.
        pictures: a few, to convert with.
        full: multiply-accumulates at the start.
    """

    target: Target
    by: str
    limits: Limits
    rounds: int
    seed: int
    batches: Callable[[], Iterable[Floats]]
    pictures: Floats
    full: int

    def size(self, channels: Channels, dead: Array | None = None) -> float:
        """What the target is about, of the network without its dead channels."""
        if self.target.kind == "macs":
            return cost.of(channels, dead).macs / self.full
        network = cut.cut(channels, channels.nobody() if dead is None else dead)
        found = measure.int8(network, self.pictures, timed=self.target.kind == "ms")
        return found.bytes / 1000 if self.target.kind == "kb" else found.ms

    def check(self, model: Any) -> float:
        """The size at the start.

        Raises:
            UsageError: the target is beyond what the limits allow, or is met already.
            ModelError: a layer that is not understood; it is named.
        """
        channels = trace(layergraph.read(model))
        began = self.size(channels)
        if began <= self.target.wanted:
            raise UsageError(
                f"the network has {self.target.words(began)} already, {self._wanted} was wanted",
                "name a smaller target, or leave the step prune out",
            )
        rated = criteria.scores(channels, "random", seed=self.seed)
        limits = replace(self.limits, share=self.limits.share**self.rounds)
        least = choose(channels, rated, lambda dead: self._excess(channels, dead), limits, tries=0)
        if not least.met:
            raise UsageError(
                f"the network cannot be pruned to {self._wanted}:"
                f" {self.target.words(least.excess * self.target.wanted)} is as far as it gets",
                "name a larger target, or lower --floor and --multiple, or add --rounds",
            )
        return began

    @property
    def _wanted(self) -> str:
        return self.target.words(self.target.wanted)

    def _excess(self, channels: Channels, dead: Array) -> float:
        return self.size(channels, dead) / self.target.wanted

    def shrink(self, model: Any, number: int, began: float) -> tuple[Any, dict[str, Any]]:
        """Cut channels out.

        Args:
            model: it is not changed.
            number: of the round, from 1; the way is divided into equal ratios.
            began: the size at the very start.

        Returns:
            The smaller network, and what there is to say of it.
        """
        channels = trace(layergraph.read(model))
        goal = began * (self.target.wanted / began) ** (number / self.rounds)
        rated = criteria.scores(channels, self.by, self.batches(), self.seed + number)
        found: Choice = choose(
            channels,
            rated,
            lambda dead: self.size(channels, dead) / goal,
            self.limits,
            tries=_TRIES[self.target.kind],
        )
        network = cut.cut(channels, found.dead)
        left = cost.of(channels, found.dead)
        return network, {
            "goal": goal,
            "reached": found.excess * goal,
            "channels": int(np.sum(~found.dead & ~channels.fixed)),
            "macs": left.macs,
            "parameters": left.parameters,
        }

    def met(self, reached: float) -> bool:
        """Whether that is enough."""
        return reached <= self.target.wanted

    def holding(self, network: Any) -> AbstractContextManager[None]:
        """What has left needs no holding."""
        return nullcontext()
