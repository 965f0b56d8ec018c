"""How a run is, as /healthz, /api/status and /metrics tell it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgecam.sinks.web.hub import Arrival
from edgecam.types import State

#: Seconds without a packet after which the camera counts as stalled.
STALE = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """The state for a watchdog.

    Attributes:
        reason: why it is at that; "" while all is well.
        well: pictures flow.
        age: seconds since the newest packet came, None before the first.
    """

    state: State
    reason: str
    well: bool
    age: float | None


def judge(arrival: Arrival | None) -> Health:
    """The health after the newest packet."""
    if arrival is None:
        return Health("starting", "no picture yet", False, None)
    status = arrival.packet.status
    seconds = age(arrival)
    flows = status.state in ("running", "degraded", "paused")
    if flows and seconds > STALE:
        # While a camera is away there is a placard each second, so it is the run itself that stands still.
        return Health("degraded", f"the last picture is {seconds:.0f} s old", False, seconds)
    return Health(status.state, status.message, flows, seconds)


def age(arrival: Arrival) -> float:
    """Seconds since a packet came."""
    return round(time.monotonic() - arrival.at, 2)
