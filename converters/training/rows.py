"""An epoch's line of the history, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def row(number: int, logs: Mapping[str, float], rate: float, head: bool) -> dict[str, Any]:
    """An epoch's line of the history."""
    more = {key: value for key, value in logs.items() if math.isfinite(value)}
    return {
        "epoch": number + 1,
        "accuracy": more.pop("categorical_accuracy", None),
        "rate": rate,
        "head": head,
        **more,
    }


def told(row: Mapping[str, Any], total: int) -> str:
    """Of ``total`` epochs this one, for people."""
    text = f"epoch {row['epoch']}/{total}: loss {row['loss']:.3f}"
    if row["accuracy"] is not None:
        text += f", right {100 * row['accuracy']:.1f}%"
    seen = row.get("validation", {})
    if "accuracy" in seen:
        text += f"; validation: right {100 * seen['accuracy']:.1f}%, loss {seen['loss']:.3f}"
        text += f", worst {seen['worst']} {100 * seen['worst_recall']:.0f}%"
    elif "ap50" in seen:
        text += f"; validation: AP50 {100 * seen['ap50']:.1f}%"
        text += f", worst {seen['worst']} {100 * seen['worst_ap50']:.0f}%"
    elif seen:
        text += f"; validation: {seen['score']:.4f}"
    return f"{text}; {row['seconds']:.0f} s"
