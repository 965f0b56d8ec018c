"""Which channels leave: the least rated of the whole network, until it is as small as is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from converters.pruning.channels import Channels
from edgecam.types import Array

#: gives how far a network without these channels is from what is wanted: its size / the wanted size
Excess = Callable[[Array], float]


@dataclass(frozen=True)
class Limits:
    """What has to be left of every layer.

    Attributes:
        floor: channels at the least.
        share: of the channels that it has now, at the least; one round is not to empty a layer.
        multiple: their number is a multiple of this; int8 kernels take eight at a time.
    """

    floor: int = 8
    share: float = 0.25
    multiple: int = 8


@dataclass(frozen=True, eq=False)
class Choice:
    """
    Attributes:
        dead: for each group whether it leaves.
        excess: of what is left; at most 1 where the target is met.
    """

    dead: Array
    excess: float

    @property
    def met(self) -> bool:
        return self.excess <= 1


def blocks(channels: Channels) -> list[Array]:
    """The groups that may leave, by the layers that make them: groups of one block lie in the same layers.

    Numbers are rounded in each block: what is a multiple in each is one in every layer.
    """
    lies_in: dict[int, list[int]] = {}
    for node in channels.makers:
        for group in np.unique(channels.of(node.index)):
            if not channels.fixed[group]:
                lies_in.setdefault(int(group), []).append(node.index)
    out: dict[tuple[int, ...], list[int]] = {}
    for group, nodes in lies_in.items():
        out.setdefault(tuple(nodes), []).append(group)
    return [np.array(sorted(groups)) for groups in out.values()]


def choose(channels: Channels, rated: Array, excess: Excess, limits: Limits, *, tries: int = 20) -> Choice:
    """Take out as few of the least rated groups as meet the target; all that the limits allow if none do.

    Args:
        channels: of the network.
        rated: see :func:`converters.pruning.criteria.scores`.
        excess: falls as more groups leave.
        limits: what has to be left.
        tries: how often ``excess`` may be asked.
    """
    order = np.argsort(rated, kind="stable")
    order = order[np.isfinite(rated[order])]
    parts = blocks(channels)

    def without(count: int) -> Array:
        return rounded(parts, rated, order[:count], limits, len(rated))

    low, high = 0, len(order)
    best = Choice(without(high), excess(without(high)))
    if not best.met:
        return best
    for _ in range(tries):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        dead = without(middle)
        found = Choice(dead, excess(dead))
        if found.met:
            best, high = found, middle
        else:
            low = middle
    return best


def rounded(parts: list[Array], rated: Array, leaving: Array, limits: Limits, groups: int) -> Array:
    """Those of the leaving groups that the limits let go: bool (groups,)."""
    wanted = np.zeros(groups, bool)
    wanted[leaving] = True
    dead = np.zeros(groups, bool)
    for part in parts:
        left = _left(len(part), int((~wanted[part]).sum()), limits)
        ordered = part[np.argsort(rated[part], kind="stable")]
        dead[ordered[: len(part) - left]] = True
    return dead


def _left(have: int, wanted: int, limits: Limits) -> int:
    """How many channels of a block stay."""
    least = max(limits.floor, int(np.ceil(limits.share * have)), 1)
    left = max(wanted, least)
    left = -(-left // limits.multiple) * limits.multiple
    return min(left, have)
