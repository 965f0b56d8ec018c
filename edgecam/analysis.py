"""From one frame's result to what goes on: tracking or smoothing, then rules."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from edgecam.events import Event, Moment
from edgecam.rules.engine import Rules
from edgecam.rules.objects import Objects
from edgecam.scene import Scene
from edgecam.tracking.smoothing import Smoother
from edgecam.tracking.tracker import Tracker
from edgecam.types import Detections, Frame, Result

#: Part of the threshold from which on a detection may go on with an object that is known already (the paper
#: has 0.1 to 0.6). The head is asked for all from there on (:class:`edgecam.types.HeadOptions`).
WEAK = 0.4

#: Seconds by which a camera's picture may be older than the one before it.
_OUT_OF_TURN = 1.0

_NOTHING: Mapping[str, Mapping[str, int]] = {}


class Analysis:
    """What is known over frames. Called by the pipeline, in the order of frames.

    Args:
        scene: zones, lines and rules, checked.
        threshold: least score that is shown, None for the model's own.
        lost: seconds for which an object that is not found is remembered.
        smoothing: seconds over which a classification is averaged.
    """

    def __init__(
        self, scene: Scene, *, threshold: float | None = None, lost: float = 2.0, smoothing: float = 1.0
    ) -> None:
        self.counts = _NOTHING
        self._scene, self._lost, self._smoothing = scene, lost, smoothing
        self._threshold = threshold
        self._tracker = Tracker(lost)
        self._smoother = Smoother(smoothing)
        self._rules = Rules(scene, lost) if scene.rules else None
        self._clock = Clock()

    def look(
        self, frame: Frame, found: Result, labels: Sequence[str], threshold: float
    ) -> tuple[Result, list[Event]]:
        """Take a frame.

        Args:
            found: what the head found, from :data:`WEAK` of the threshold on.
            labels: the model's.
            threshold: least score that the model's head would show.

        Returns:
            The result with ids (or with steady scores), and the steps of events that it causes.
        """
        at = self._clock.at(frame.moment, film=frame.media_time is not None)
        threshold = threshold if self._threshold is None else self._threshold
        result: Result
        if isinstance(found, Detections):
            result = self._tracker.update(at, found, frame.size, threshold)
        else:
            result = self._smoother.update(at, found, threshold)
        if self._rules is None:
            return result, []
        moment = Moment(frame.seq, at, frame.wall, frame.media_time)
        events = self._rules.look(moment, Objects.of(result, frame.size), labels)
        self.counts = self._rules.counts()
        return result, events

    def idle(self) -> list[Event]:
        """No frame comes from a live source: end what has waited for long enough."""
        return [] if self._rules is None else self._rules.idle(self._clock.now(time.monotonic()))

    def anew(self) -> Analysis:
        """One that knows nothing yet, for a model with other labels."""
        return Analysis(self._scene, threshold=self._threshold, lost=self._lost, smoothing=self._smoothing)

    def finish(self) -> list[Event]:
        """The run is over: end all events."""
        return [] if self._rules is None else self._rules.finish()


class Clock:
    """Seconds that never fall, whatever the times that are put in do: a film may begin again.

    A camera's picture that comes out of turn, a little late, is of the same moment as the one before it.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._offset = 0.0

    def at(self, moment: float, *, film: bool = False) -> float:
        """The time of a frame at ``moment``, which is a place in a film or the machine's monotonic time."""
        back = self._last - (moment + self._offset)
        if back > (0 if film else _OUT_OF_TURN):
            self._offset += back
        self._last = max(self._last, moment + self._offset)
        return self._last

    def now(self, moment: float) -> float:
        """The time at a ``moment`` without a frame."""
        return max(self._last, moment + self._offset)
