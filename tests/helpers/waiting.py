"""Waiting for what nothing announces."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 20.0


def until(what: str, true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Ask again until it is true; fail with ``what`` when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited for {seconds:g} s: {what}"
        time.sleep(0.01)
