"""A million events: memory stays what it was."""

import numpy as np

from edgecam.rules.engine import Rules
from edgecam.rules.objects import Objects
from edgecam.scene import Rule, Scene

from .support import GATE, LABELS, LEFT, at

CROWD = 500


def test_a_million_steps_leave_nothing_behind() -> None:
    """In each frame 500 new objects cross a line into a zone: two starts and, later, two ends for each."""
    rules = Rules(
        Scene(
            (LEFT,),
            (GATE,),
            (Rule("stay", zone="left", end_after=0), Rule("cross", line="gate", end_after=0)),
        ),
        remember=0.5,
    )
    box = np.array([[-0.05, 0.2, 0.05, 0.5]])
    x = np.stack((np.full(CROWD, 0.8), np.full(CROWD, 0.2)))
    steps, most, ids = 0, 0, set()
    for n in range(500):
        names = np.arange(n * CROWD + 1, (n + 1) * CROWD + 1, dtype=np.int32)
        for half, xs in enumerate(x):
            boxes = box + np.stack((xs, np.zeros(CROWD), xs, np.zeros(CROWD)), axis=1)
            seen = Objects(names, np.zeros(CROWD, np.int32), np.full(CROWD, 0.9, np.float32), boxes)
            events = rules.look(at(n + half / 2), seen, LABELS)
            steps += len(events)
            ids.update(event.id for event in events if event.phase == "start" and event.number % 997 == 0)
        most = max(most, rules.remembered)
    steps += len(rules.finish())
    assert steps == 1_000_000
    assert rules.counts() == {
        "stay": {"events": 250_000, "now": CROWD},
        "cross": {"events": 250_000, "in": 250_000, "out": 0},
    }
    assert most <= 6 * 3 * CROWD and len(ids) == 2 * (250_000 // 997)
