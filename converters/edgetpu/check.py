"""What of a model the Edge TPU would run, told without its compiler.

The compiler maps one connected part of the graph. Operators before the first that is mapped (the
``QUANTIZE`` of a float input) run on the CPU and do no harm; from the first on that cannot be mapped
behind it, everything that depends on it stays on the CPU too, supported or not ("More than one subgraph is
not supported" in its log).

This is an estimate by the documented rules; the compiler has some of its own, and the last word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from converters.edgetpu import operators, rules
from converters.edgetpu.operators import Op
from edgecam.errors import ModelError
from edgecam.tflite import EDGETPU_OP

AFTER = "comes after an operator that stays on the CPU"
_BEFORE, _ON, _BEHIND = range(3)


@dataclass(frozen=True)
class Entry:
    """One operator.

    Attributes:
        index: its place in the graph.
        name: what it is.
        tpu: whether the Edge TPU would run it.
        reason: why not; "" if it would.
        doubt: why it may stay on the CPU all the same.
    """

    index: int
    name: str
    tpu: bool
    reason: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Readiness:
    """All operators of a model."""

    entries: tuple[Entry, ...]

    @property
    def on_tpu(self) -> int:
        return sum(entry.tpu for entry in self.entries)

    @property
    def on_cpu(self) -> int:
        return len(self.entries) - self.on_tpu

    @property
    def summary(self) -> str:
        """One line."""
        total = len(self.entries)
        if not self.on_cpu:
            return f"all {total} operators would run on the Edge TPU"
        if not self.on_tpu:
            return f"none of {total} operators would run on the Edge TPU"
        return f"{self.on_tpu} of {total} operators would run on the Edge TPU, {self.on_cpu} on the CPU"

    def rows(self) -> list[tuple[str, int, str]]:
        """(operator, how many, what becomes of them), most of the Edge TPU's first."""
        counts: Counter[tuple[bool, str, str]] = Counter()
        for entry in self.entries:
            word = "Edge TPU" if entry.tpu else f"CPU: {entry.reason}"
            counts[not entry.tpu, entry.name, f"{word} ({entry.doubt})" if entry.doubt else word] += 1
        ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1:]))
        return [(name, count, word) for (_, name, word), count in ordered]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "summary": self.summary,
            "on_tpu": self.on_tpu,
            "on_cpu": self.on_cpu,
            "operators": [asdict(entry) for entry in self.entries],
        }


def check(model: bytes) -> Readiness:
    """Go through a model's operators.

    Raises:
        ModelError: not a TFLite model, a damaged one, or one that is compiled already.
    """
    ops = operators.read(model)
    if any(op.name == EDGETPU_OP for op in ops):
        raise ModelError("the model is compiled for the Edge TPU already", "check the file it was made from")
    return Readiness(_entries(ops))


def _entries(ops: Sequence[Op]) -> tuple[Entry, ...]:
    state: dict[int, int] = {}  # tensor -> before, on or behind the Edge TPU's part
    found = []
    for op in ops:
        sources = [t.node.index for t in op.inputs if t is not None and not t.constant]
        before = max((state.get(index, _BEFORE) for index in sources), default=_BEFORE)
        entry = _entry(op, before)
        found.append(entry)
        after = _ON if entry.tpu else (_BEFORE if before == _BEFORE else _BEHIND)
        state.update((tensor.node.index, after) for tensor in op.outputs)
    return tuple(found)


def _entry(op: Op, before: int) -> Entry:
    reason = rules.problem(op)
    if reason:
        return Entry(op.index, op.name, False, reason)
    if before == _BEHIND:
        return Entry(op.index, op.name, False, AFTER)
    return Entry(op.index, op.name, True, doubt=rules.doubt(op))
