"""The report's part about pruning: what each round took away and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def words(figures: Mapping[str, Any]) -> str:
    """What pruning has made of a network, in a few words; see :class:`converters.steps.prune.PruneStep`."""
    before = figures["before"]
    if figures["kind"] == "unstructured":
        return f"{100 * figures['rounds'][-1]['reached']:.0f}% of its weights are zero"
    a, b = before["macs"] / 1e6, figures["macs"] / 1e6
    return (
        f"{before['parameters']:,} before; {a:.1f} → {b:.1f} million multiply-accumulates by {figures['by']}"
    )


def table(figures: Mapping[str, Any]) -> str:
    """A row a round, as HTML."""
    rows = [_row(row) for row in figures["rounds"]]
    heads = ("round", "million MACs", "parameters", "after the cut", "after training")
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in rows)
    return (
        f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>"
        "<p class='note'>Right answers on validation pictures. Round 0 is the network as it was.</p>"
    )


def _row(row: Mapping[str, Any]) -> list[str]:
    parameters = f"{row['parameters']:,}"
    if "compressed" in row:
        parameters += f" ({100 * row['reached']:.0f}% zeros, {row['compressed'] / 1000:.0f} kB compressed)"
    return [
        str(row["round"]),
        f"{row['macs'] / 1e6:.1f}",
        parameters,
        _right(row.get("cut")),
        _right(row.get("tuned")),
    ]


def _right(found: Mapping[str, Any] | None) -> str:
    return f"{100 * found['accuracy']:.1f}%" if found else "–"
