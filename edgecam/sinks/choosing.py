"""Which steps of events a sink wants: options that several share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecam.events import Event
from edgecam.registry import parse_names

PHASES = ("start", "update", "end")


def event_options() -> dict[str, Any]:
    """``rules`` and ``phases``, for :meth:`~edgecam.registry.URI.options`."""
    return {"rules": (parse_names, ()), "phases": (parse_phases, PHASES)}


def wanted(event: Event, options: Mapping[str, Any]) -> bool:
    """The options ask for this step."""
    rules = options["rules"]
    return event.phase in options["phases"] and (not rules or event.rule in rules)


def parse_phases(text: str) -> tuple[str, ...]:
    """``start,end`` to (start, end)."""
    names = parse_names(text)
    if not names or not set(names) <= set(PHASES):
        raise ValueError(f"expected some of {', '.join(PHASES)}")
    return names
